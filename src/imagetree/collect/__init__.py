"""imagetree.collect"""
