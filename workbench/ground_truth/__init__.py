"""Networks whose circuit is known by construction, for evaluating methods that find circuits.

Programs compiled by Tracr (`tracr`), networks trained to implement these programs (`trained_programs`), and networks of
every family with weights set by hand (`planted_*`).
"""
