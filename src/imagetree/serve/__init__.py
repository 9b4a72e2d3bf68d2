"""imagetree.serve"""
