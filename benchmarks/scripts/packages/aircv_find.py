"""aircv's search for a picture on a screen, which asks for cv2.xfeatures2d: --features SIFT."""

import aircv

found = aircv.find_sift(aircv.imread("box_in_scene.png"), aircv.imread("box.png"))
print(f"{found['confidence'][0]} of {found['confidence'][1]} matches; {found['rectangle']}")
