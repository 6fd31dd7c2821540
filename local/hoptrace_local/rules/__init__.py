"""Alert rules on a desk: checked with line and column, and tried over what was recorded."""
