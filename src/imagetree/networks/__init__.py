"""Networks in plain torch, their registry and the weight bundle; knows no catalog."""
