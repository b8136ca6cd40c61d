"""Sources of frames made of folders of images: own recordings, KITTI, DrivingStereo and Cityscapes."""
