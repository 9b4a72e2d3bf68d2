"""imagetree.catalog"""
