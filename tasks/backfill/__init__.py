"""History from a venue into the warehouse: asked for, fetched into spools, landed from there and validated.

A spool survives whatever ends the process, so every step may be repeated: a job that was begun is finished first, one
that is complete is landed, and what has landed is known by its content. Trades that the venue publishes as files come
another way (`time_sales`), to the same candles.
"""
