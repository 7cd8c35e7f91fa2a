"""Where fits set out from, when nobody gives a start and no family can guess one."""
