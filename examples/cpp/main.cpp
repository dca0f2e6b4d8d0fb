// Matches two images with SuperPoint and draws the matches: match_images sp.onnx A.jpg B.jpg out.png
//
// The file comes from one of
//   cv2-superpoint export -o sp.onnx --size 640x480 --for aliked    (OpenCV 5)
//   cv2-superpoint export -o sp.onnx --size 640x480 --for maps      (OpenCV 4)

#include <iostream>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#if CV_VERSION_MAJOR >= 5
#include <opencv2/features.hpp>
#else
#include "superpoint.hpp"
#endif

const cv::Size SIZE(640, 480);  // of the network's input, as exported

cv::Ptr<cv::Feature2D> createSuperPoint(const std::string& file) {
#if CV_VERSION_MAJOR >= 5
    cv::ALIKED::Params params;
    params.inputSize = SIZE;
    return cv::ALIKED::create(file, params);
#else
    return cv::makePtr<SuperPoint>(file, SIZE, 1000);
#endif
}

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: match_images sp.onnx A.jpg B.jpg out.png\n";
        return 2;
    }
    const cv::Mat first = cv::imread(argv[2]), second = cv::imread(argv[3]);
    if (first.empty() || second.empty()) {
        std::cerr << "cannot read the images\n";
        return 1;
    }
    const auto detector = createSuperPoint(argv[1]);
    std::vector<cv::KeyPoint> keypoints1, keypoints2;
    cv::Mat descriptors1, descriptors2;
    detector->detectAndCompute(first, cv::noArray(), keypoints1, descriptors1);
    detector->detectAndCompute(second, cv::noArray(), keypoints2, descriptors2);

    std::vector<cv::DMatch> matches;
    cv::BFMatcher(detector->defaultNorm(), true).match(descriptors1, descriptors2, matches);
    cv::Mat picture;
    cv::drawMatches(first, keypoints1, second, keypoints2, matches, picture);
    std::cout << keypoints1.size() << " and " << keypoints2.size() << " keypoints, "
              << matches.size() << " matches\n";
    return cv::imwrite(argv[4], picture) ? 0 : 1;
}
