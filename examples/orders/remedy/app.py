"""placeholder"""
def handler(event, context):
    """x"""
    print("REMEDY", event)
