"""imagetree.train"""
