# The collector's doorman: registers with Lambda, sleeps until the first response is out, then has Python do the work.
#
#   bash -p doorman.bash HOME PYTHON      (PYTHON may be empty)
#
# Lambda starts the runtime only after every extension has registered, and whatever an extension does meanwhile competes
# with the function for the CPU. A shell that is asleep costs nothing. It sleeps without polling: on /event/next, then on the bell,
# a named pipe whose writing end the tracer holds. `i` is a ring (the response is out), end of file means that no function
# process is alive, and a limit derived from the event's deadline covers a function that never rings.
#
# It stays behind as Python's parent: should Python ever end before SHUTDOWN, it goes on answering, so that the function
# runs on. Works with bash 4.2 (Amazon Linux 2) and later.

LC_ALL=C
trap '' PIPE  # an API that closes early must not end us
home=$1
python=$2
name=hoptrace-collector
api=${AWS_LAMBDA_RUNTIME_API:-127.0.0.1:9001}
host=${api%:*}
port=${api##*:}
run=${HOPTRACE_RUN_DIR:-/tmp/.hoptrace}
bell=$run/bell
telemetry_port=${HOPTRACE_TELEMETRY_PORT:-4319}
[[ $telemetry_port =~ ^[1-9][0-9]{0,4}$ ]] || telemetry_port=4319
kind=${AWS_LAMBDA_INITIALIZATION_TYPE:-on-demand}

id='' body='' status=''
files=() untold=()

say() { printf 'hoptrace: %s\n' "$1" >&2; }

# request METHOD PATH [BODY]: one request on a connection of its own (a second one on the same would wait for Nagle's
# algorithm). Sets $status and $body, and $id when the answer has one.
request() {
    local method=$1 path=$2 content=${3-} text line key value length=0 chunked=''
    status='' body=''
    { exec 5<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 1
    text="$method $path HTTP/1.1"$'\r\n'"Host: $api"$'\r\n'"Connection: close"$'\r\n'"Lambda-Extension-Name: $name"$'\r\n'
    [[ -n $id ]] && text+="Lambda-Extension-Identifier: $id"$'\r\n'
    [[ -n $content ]] && text+="Content-Type: application/json"$'\r\n'"Content-Length: ${#content}"$'\r\n'
    text+=$'\r\n'$content
    printf '%s' "$text" 2>/dev/null >&5
    IFS=' ' read -r _ status _ 2>/dev/null <&5 || { exec 5>&-; return 1; }
    while IFS= read -r line 2>/dev/null <&5 && line=${line%$'\r'} && [[ -n $line ]]; do
        key=${line%%:*}
        value=${line#*:}
        value=${value# }
        case $key in
            [Ll]ambda-[Ee]xtension-[Ii]dentifier) id=$value ;;
            [Cc]ontent-[Ll]ength) length=$value ;;
            [Tt]ransfer-[Ee]ncoding) [[ $value == *hunked* ]] && chunked=1 ;;
        esac
    done
    if [[ -n $chunked ]]; then
        while IFS= read -r line 2>/dev/null <&5 && line=${line%$'\r'} && line=${line%%;*} &&
            [[ $line =~ ^[0-9A-Fa-f]{1,6}$ ]] && length=$((16#$line)) && ((length > 0)); do
            IFS= read -r -N "$length" line <&5
            body+=$line
            IFS= read -r line <&5
        done
    elif ((length > 0)); then
        IFS= read -r -N "$length" body <&5
    fi
    exec 5>&-
    [[ -n $status ]]
}

# next: asks for the next event until there is one; ends this process when Lambda's API is gone.
next() {
    local tries=0
    until request GET /2020-01-01/extension/event/next && [[ $status == 200 ]]; do
        ((++tries < 20)) || exit 0
        sleep 0.25 2>/dev/null || read -r -t 1 _ <>/dev/null
    done
}

is_shutdown() { [[ $body =~ \"eventType\"\ *:\ *\"SHUTDOWN\" ]]; }

# answer: goes on as if nothing were attached.
answer() {
    while :; do
        next
        is_shutdown && exit 0
    done
}

left=0
# time_left: sets $left to the milliseconds until the event's deadline.
time_left() {
    local now seconds
    left=0
    [[ $body =~ \"deadlineMs\"\ *:\ *([0-9]+) ]] || return
    if [[ -n ${EPOCHREALTIME-} ]]; then
        now=$((${EPOCHREALTIME/[.,]/} / 1000))
    else
        printf -v seconds '%(%s)T' -1
        now=$((seconds * 1000 + 999))
    fi
    left=$((BASH_REMATCH[1] - now))
}

# become ARGUMENT…: Python takes over, at the lowest priority; its end before SHUTDOWN leaves the function untraced, no more.
# At SHUTDOWN no function is left that it could slow down, and two seconds are all it has.
become() {
    local lower=()
    is_shutdown || { command -v nice >/dev/null && lower=(nice -n 19); }
    "${lower[@]}" "$python" -I -S "$home" --name "$name" --extension-id "$id" --registration "$registration" \
        --telemetry-port "$telemetry_port" "${untold[@]}" "${files[@]}" "$@" &
    wait $!
    local code=$?
    ((code == 0)) && exit 0
    is_shutdown && exit 0
    say "the collector ended unexpectedly (status $code); the function runs on, what it does is not exported any more"
    answer
}

off=''
for switch in "$HOPTRACE_DISABLED" "$OTEL_SDK_DISABLED"; do
    [[ ${switch,,} =~ ^[[:space:]]*(true|1|yes|on)[[:space:]]*$ ]] && off=1
done

events='"INVOKE","SHUTDOWN"'
[[ -n $off || -z $python || $kind == lambda-managed-instances ]] && events='"SHUTDOWN"'

if ! request POST /2020-01-01/extension/register "{\"events\":[$events]}" || [[ $status != 200 || -z $id ]]; then
    if [[ -z $status ]] && [[ -n $python ]]; then
        # A bash without /dev/tcp: Python does all of it.
        exec "$python" -I -S "$home" --name "$name"
    fi
    say "Lambda did not register the extension (HTTP status ${status:-none}: ${body:0:200})"
    exit 1
fi
registration=$body

[[ -n $off ]] && answer
if [[ -z $python ]]; then
    say "found no python3 on PATH, so nothing is traced; the function runs on as if nothing were attached"
    answer
fi

# Nobody listens on the port yet: Lambda keeps what it cannot deliver and tries again. Nothing essential depends on it.
schema=2022-12-13
[[ $kind == lambda-managed-instances ]] && schema=2025-01-29
types='"platform"' wait=1000
# What an invocation has said should have come when it is over, so Lambda does not wait for more of it.
# Nor for what it says of a restore, whose span waits for it.
[[ $kind == snap-start ]] && wait=25
[[ ${HOPTRACE_LOGS,,} =~ ^[[:space:]]*otlp[[:space:]]*$ ]] && types+=',"function"' wait=25
request PUT /2022-07-01/telemetry "{\"schemaVersion\":\"$schema\",\"types\":[$types],\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox.localdomain:$telemetry_port/\"},\"buffering\":{\"maxItems\":1000,\"maxBytes\":262144,\"timeoutMs\":$wait}}"
[[ $status == 200 ]] || untold=(--untold)  # nobody needs to listen, or to wait for it at the end

# Only on-demand environments have somebody waiting for their first response.
[[ $kind == on-demand ]] || become

next
if is_shutdown; then
    # Nothing was ever recorded and nothing went wrong: there is nothing to start Python for.
    [[ -s $run/records.jsonl || ${body,,} != *spindown* ]] || exit 0
    become --event "$body"
fi

# What Python's start costs at this memory size, and a little for its first flush, in milliseconds.
memory=${AWS_LAMBDA_FUNCTION_MEMORY_SIZE:-1769}
[[ $memory =~ ^[1-9][0-9]*$ ]] || memory=1769
need=$((280000 / memory + 250))

rung='' ended=''
if [[ -p $bell ]]; then
    # Opening for reading waits for a writer, and the function may have died already: for a moment we are one ourselves.
    exec 6<>"$bell" 7<"$bell" 6>&-
    # Held from now on and handed to Python: the function may clear its /tmp.
    files=(--bell-fd 7)
    if [[ -f $run/records.jsonl ]] && { exec 8<"$run/records.jsonl"; } 2>/dev/null; then
        files+=(--records-fd 8)
        printf '\n' >>"$run/records.jsonl"  # the mark of a reader
    fi
    time_left
    while ((limit = left - need, limit > 0)); do
        printf -v limit '%d.%03d' $((limit / 1000)) $((limit % 1000))
        IFS= read -r -N 1 -t "$limit" -u 7 rung || { ended=$?; break; }
        time_left
        ((left > need)) || break
        case $rung in
            i) become --event "$body" --rung ;;
            # Something in the function has OTLP to send and found the port closed; its invocation goes on.
            o) become --event "$body" ;;
        esac
    done
elif [[ -n $PYTHONPATH ]]; then
    say "the function is not traced: PYTHONPATH is set, and then Python reads no .pth file of a layer. Set AWS_LAMBDA_EXEC_WRAPPER=/opt/hoptrace, or the handler hoptrace.entry.handler with HOPTRACE_HANDLER=your.handler"
    files+=(--unattached)
fi

# The function died, is out of time, was never attached, or leaves too little time for Python's start: release the environment first.
first=$body
if [[ $ended == 1 && -f $run/records.jsonl ]]; then
    # End of file: what is written down now is known to the next generation, should Python have no time to start in this.
    moment=${EPOCHREALTIME/[.,]/}
    printf '{"v":1,"type":"invoke","time":%s000,"event":%s}\n' "${moment:-0}" "${first//$'\n'/ }" >>"$run/records.jsonl"
fi
next
if is_shutdown && [[ ! -p $bell && ${body,,} == *spindown* ]]; then
    exit 0  # the tracer was never attached, and nothing went wrong
fi
become --event "$first" --event "$body"
