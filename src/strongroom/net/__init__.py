"""The one guarded way out: every outgoing connection is checked, pinned to what was checked, and limited."""
