"""imagetree.annotate"""
