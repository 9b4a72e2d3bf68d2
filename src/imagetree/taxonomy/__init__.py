"""imagetree.taxonomy"""
