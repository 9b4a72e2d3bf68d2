"""imagetree: build, verify, release and benchmark an ImageNet of your own."""
