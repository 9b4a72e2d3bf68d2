"""imagetree.networks"""
