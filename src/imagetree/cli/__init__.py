"""imagetree.cli"""
