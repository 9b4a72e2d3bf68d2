"""imagetree.benchmark"""
