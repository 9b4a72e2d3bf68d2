"""imagetree.core"""
