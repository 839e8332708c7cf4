"""The network as it was agreed and as it is: versions, plans, the ledger, devices and who may change them."""
