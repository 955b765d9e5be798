"""What the venue says about its markets: lists of pairs and contracts, funding rates, and the universe made of them.

`warehouse.reference.funding.land_funding` lands rates; `warehouse.reference.discoveries` keeps lists and decisions.
"""
