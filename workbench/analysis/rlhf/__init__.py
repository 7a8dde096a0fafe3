"""What learning from preferences changed in a network, and which changes its behaviour hangs on."""
