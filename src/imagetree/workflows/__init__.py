"""imagetree.workflows"""
