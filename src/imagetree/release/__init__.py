"""imagetree.release"""
