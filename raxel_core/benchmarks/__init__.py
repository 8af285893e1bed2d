"""Speed: of cameras, network and files beside others in the same process, and of training by parts."""
