"""The search for starts, if none is given and no family can guess one."""
