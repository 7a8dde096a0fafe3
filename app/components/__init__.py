"""Own components: inline JavaScript, no build step, nothing from another machine."""
