"""imagetree.images"""
