"""imagetree.web"""
