// SuperPoint as a cv::Feature2D for OpenCV 4, whose cv::dnn runs what this writes:
//   cv2-superpoint export -o sp.onnx --for maps --size 640x480
// The network's maps become keypoints and descriptors here. Coordinates: integer at pixel centres.

#pragma once

#include <algorithm>

#include <opencv2/dnn.hpp>
#include <opencv2/features2d.hpp>
#include <opencv2/imgproc.hpp>

class SuperPoint : public cv::Feature2D {
public:
    // Images are resized to the size of the network's input; at most nfeatures are kept.
    SuperPoint(const std::string& file, cv::Size size, int nfeatures)
        : net(cv::dnn::readNetFromONNX(file)), size(size), nfeatures(nfeatures) {
        length = run(cv::Mat::zeros(size, CV_8U))[1].size[1];
    }

    void detectAndCompute(cv::InputArray image, cv::InputArray mask,
                          std::vector<cv::KeyPoint>& keypoints, cv::OutputArray descriptors,
                          bool useProvidedKeypoints = false) override {
        cv::Mat grey = image.getMat();
        CV_Assert(!grey.empty());
        if (grey.channels() > 1)
            cv::cvtColor(grey, grey, grey.channels() == 4 ? cv::COLOR_BGRA2GRAY : cv::COLOR_BGR2GRAY);
        const std::vector<cv::Mat> maps = run(grey);
        if (!useProvidedKeypoints)
            keypoints = detectIn(cv::Mat(size, CV_32F, maps[0].data),
                                 cv::Mat(size, CV_32F, maps[2].data), grey.size(), mask.getMat());
        if (!descriptors.needed()) return;
        descriptors.create(static_cast<int>(keypoints.size()), length, CV_32F);
        cv::Mat rows = descriptors.getMat();
        for (int i = 0; i < rows.rows; ++i) {
            const cv::Point2f point = scaled(keypoints[i].pt, grey.size(), size);
            describe(maps[1], point, rows.ptr<float>(i));
            cv::normalize(rows.row(i), rows.row(i));
        }
    }

    int descriptorSize() const override { return length; }
    int descriptorType() const override { return CV_32F; }
    int defaultNorm() const override { return cv::NORM_L2; }

private:
    cv::dnn::Net net;
    cv::Size size;
    int nfeatures, length;

    std::vector<cv::Mat> run(const cv::Mat& grey) {
        std::vector<cv::Mat> maps;
        net.setInput(cv::dnn::blobFromImage(grey, 1 / 255.0, size), "image");
        net.forward(maps, std::vector<cv::String>{"heat", "descriptors", "scores"});
        return maps;
    }

    std::vector<cv::KeyPoint> detectIn(const cv::Mat& heat, const cv::Mat& scores,
                                       cv::Size image, const cv::Mat& mask) const {
        const cv::Rect2f inner(4, 4, size.width - 9.f, size.height - 9.f);
        const float diameter = 8.f * image.width / size.width;
        std::vector<cv::KeyPoint> found;
        for (int y = 0; y < size.height; ++y)
            for (int x = 0; x < size.width; ++x)
                if (const float score = scores.at<float>(y, x); score > 0) {
                    const cv::Point2f point = refine(heat, {x, y});
                    const cv::Point2f place = scaled(point, size, image);
                    if (inner.contains(point) && allowed(mask, place))
                        found.emplace_back(place, diameter, -1.f, score);
                }
        std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
            return a.response > b.response;
        });
        found.resize(std::min(found.size(), static_cast<size_t>(nfeatures)));
        return found;
    }

    static cv::Point2f scaled(cv::Point2f point, cv::Size from, cv::Size to) {
        return {(point.x + 0.5f) * to.width / from.width - 0.5f,
                (point.y + 0.5f) * to.height / from.height - 0.5f};
    }

    static bool allowed(const cv::Mat& mask, cv::Point2f point) {
        const cv::Point pixel(cvFloor(point.x + 0.5f), cvFloor(point.y + 0.5f));
        return mask.empty() ||
               (cv::Rect({}, mask.size()).contains(pixel) && mask.at<uchar>(pixel) != 0);
    }

    // The heat's centre of mass in the 5x5 pixels around the hottest of 3x3.
    static cv::Point2f refine(const cv::Mat& heat, cv::Point point) {
        const cv::Rect whole({}, heat.size());
        const cv::Rect near = cv::Rect(point.x - 1, point.y - 1, 3, 3) & whole;
        cv::minMaxLoc(heat(near), nullptr, nullptr, nullptr, &point);
        point += near.tl();
        const cv::Rect around = cv::Rect(point.x - 2, point.y - 2, 5, 5) & whole;
        const cv::Moments mass = cv::moments(heat(around));
        return {static_cast<float>(around.x + mass.m10 / mass.m00),
                static_cast<float>(around.y + mass.m01 / mass.m00)};
    }

    // Bilinear between the four nearest cells of 8x8 pixels.
    static void describe(const cv::Mat& cells, cv::Point2f point, float* row) {
        const int height = cells.size[2], width = cells.size[3];
        const float x = std::clamp((point.x + 0.5f) / 8 - 0.5f, 0.f, width - 1.f);
        const float y = std::clamp((point.y + 0.5f) / 8 - 0.5f, 0.f, height - 1.f);
        const int left = static_cast<int>(x), top = static_cast<int>(y);
        const int right = std::min(left + 1, width - 1), bottom = std::min(top + 1, height - 1);
        const float fx = x - left, fy = y - top;
        for (int i = 0; i < cells.size[1]; ++i) {
            const cv::Mat plane(height, width, CV_32F, const_cast<float*>(cells.ptr<float>(0, i)));
            row[i] = (1 - fy) * ((1 - fx) * plane.at<float>(top, left) +
                                 fx * plane.at<float>(top, right)) +
                     fy * ((1 - fx) * plane.at<float>(bottom, left) +
                           fx * plane.at<float>(bottom, right));
        }
    }
};
