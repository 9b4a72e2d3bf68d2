"""imagetree.features"""
