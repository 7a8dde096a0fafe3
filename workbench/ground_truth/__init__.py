"""Networks whose circuit is known by construction: what a way to find circuits is to be measured against.

Compiled programs (`tracr`) and networks with weights set by hand (`planted_*`), of every family.
"""
