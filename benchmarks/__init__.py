"""Accuracy, invariance and speed of local features, and what they do in other people's scripts.

The rooms::

    common/             what all commands use
      options             options that several commands have
      datasets            sequences on disk -> images of one size and their homographies
      photographs         those inside scikit-image's wheel, or a folder's; in other light
      detectors           a name -> anything with detectAndCompute and defaultNorm
      features            detector x image -> points and descriptors, cached on disk
      metrics             keypoints, matches and a homography -> numbers; pure functions
      tables              rows -> text and CSV
      gallery             pairs of pictures drawn with their matches; which are worth a look
      page                tables, plots and pictures -> a report as HTML or Markdown
      processes           workers side by side
      figures             panels -> PNG, or SVG for a page; the look of a method's line
      outputs             files that are written whole or not at all
      machine             what numbers depend on besides code and data

    accuracy/           ``python -m benchmarks hpatches``, in the order the data flows
      command             options in, tables and report out
      simulated           a set in HPatches' layout, made from photographs
      protocol            every constant, and the presets that people quote
      alignment           two images and a homography -> one that fits them better
      descriptor_metrics  metrics of descriptors and of the whole pipeline
      scoring             a pair of images -> all its metrics
      run                 methods x sequences -> a record per pair and image, in worker processes
      summary             records -> means by split and method, as rows and text
      results, published  everything of a run as JSON and CSV; the paper's numbers
      plots               records -> curves
      report              results -> report.html, report.md, with tables, curves and pictures
      comparison          two report.json -> what changed

    invariance/         ``python -m benchmarks rotation``, ``tilt``, ``scale`` and ``zoom-rotation``
      command             options in, tables, CSV and page out: rotation, tilt and scale
      zoom_command        the same for zoom-rotation
      views               a photograph -> the same turned, smaller or larger, and the homography
      steps               methods x photographs x steps -> records -> a summary per step
      zoom                photographs x zooms x rotations -> records -> a summary of each
      plots               summaries -> curves
      exhibits            records -> pairs worth a look, drawn

    speed/              ``python -m benchmarks speed``, ``memory`` and ``accuracy-over-time``;
                        ``pytest benchmarks --benchmark-only`` and ``compare-speed``
      command             options in, tables, CSV and JSON out
      cases               what is timed: method, size, points, threads, device, precision, batch
      plain               SuperPoint as the literature has it, to compare with
      timing              cases -> times, in rounds
      roofline            where the time of a network goes, and the least that it could take
      report              times -> rows and text
      memory_command      options in, tables and CSV out: memory
      memory              a case -> its peak memory, in a process of its own
      tradeoff            reports of several commands -> points: accuracy-over-time
      plots               rows, footprints and points -> bars and curves
      test_speed          times of single calls, to find regressions
      regression          two files of them -> what has become slower: compare-speed

    scripts/            ``python -m benchmarks scripts``
      command             options in, a table out: what each script does with either feature
      catalogue           OpenCV's source -> scripts, their arguments and the pictures they want
      probe               runs one without windows, and notes what it matched and drew
      packages/           a few lines for each package, to run what it does

A new method is a line in `common.detectors.METHODS`.

Coordinates are (x, y) in pixels with integer coordinates at pixel centres, as in OpenCV; sizes are
(height, width). A homography maps column vectors (x, y, 1) of image 1 to image 2.
"""
