"""imagetree.jobs"""
