// The report page: escaped, self-contained, drawn; and looked at in a headless browser where there is one.
#include "prefer/eval/report.hpp"

#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

namespace prefer {
namespace {

Report example() {
  Report report;
  report.title = "Run <1>";
  report.summary = "A & B";
  report.figures = {{"reward", {0.29, 0.25, 0.33}, {0.81, 0.77, 0.85}, "32 openings"}};
  Plot plot{"reward", "nats", {{"chosen", {}}, {"rejected", {}, true}}};
  for (int step = 1; step <= 40; ++step) {
    plot.curves[0].points.emplace_back(step, std::log(step));
    plot.curves[1].points.emplace_back(step, step == 7 ? NAN : -0.1 * step);
  }
  report.plots = {plot, {"one point", "", {{"x", {{3, 5}}}}}, {"none", "", {{"x", {}}}}};
  report.samples = {{"Once <b>", "before\nline", "after \"quoted\"", 0.1, 0.7}};
  report.skipped = {{"chosen equals rejected", 3}};
  report.config = "{\"beta\": 0.1}";
  return report;
}

/// Every tag that is opened is closed, in order.
void expect_balanced(const std::string& html) {
  static const std::regex tag(R"(<(/?)([a-z0-9]+)[^>]*?(/?)>)");
  const std::vector<std::string> empty = {"meta", "br", "line", "circle"};
  std::vector<std::string> open;
  for (std::sregex_iterator at(html.begin(), html.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2];
    if ((*at)[3].length() || std::ranges::find(empty, name) != empty.end()) continue;
    if ((*at)[1].length()) {
      ASSERT_FALSE(open.empty()) << name;
      EXPECT_EQ(open.back(), name);
      open.pop_back();
    } else {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST(Report, IsOneWellFormedPageThatNeedsNothingElse) {
  const std::string html = render_html(example());
  expect_balanced(html);
  for (const char* outside : {"http://", "https://", "<script", "src=", "@import", "url("}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
}

TEST(Report, EscapesWhatComesFromOutside) {
  const std::string html = render_html(example());
  EXPECT_NE(html.find("Run &lt;1&gt;"), std::string::npos);
  EXPECT_NE(html.find("Once &lt;b&gt;"), std::string::npos);
  EXPECT_NE(html.find("{&quot;beta&quot;: 0.1}"), std::string::npos);
  EXPECT_NE(html.find("chosen equals rejected"), std::string::npos);
}

TEST(Report, MarksWhatGotBetterAndWorseAndSaysWhoseItIs) {
  Report report = example();
  report.samples.push_back({"Once", "fine", "bad", 0.5, -0.5, "after: PPO"});
  report.samples.push_back({"Once", "fine", "fine", 0.5, 0.5});
  report.samples_note = "single draws";
  const std::string html = render_html(report);
  expect_balanced(html);
  EXPECT_NE(html.find("interval better\">reward 0.7<"), std::string::npos);
  EXPECT_NE(html.find("interval worse\">reward -0.5<"), std::string::npos);
  EXPECT_EQ(html.find("interval worse\">reward 0.5<"), std::string::npos);
  EXPECT_NE(html.find("after: PPO"), std::string::npos);
  EXPECT_NE(html.find("single draws"), std::string::npos);
}

TEST(Report, APlotOverSomethingElseThanStepsComesBeforeTheSamples) {
  Report report = example();
  report.plots.push_back({"reward against KL", "", {{"x", {{0, 1}, {2, 3}}}}, "nats"});
  const std::string html = render_html(report);
  expect_balanced(html);
  EXPECT_LT(html.find("reward against KL"), html.find("<h2>Samples"));
  EXPECT_LT(html.find("<h2>Samples"), html.find("<h2>Curves"));
}

TEST(Report, SaysWhenNothingWasSkipped) {
  EXPECT_NE(render_html({}).find("Nothing was skipped"), std::string::npos);
}

TEST(Svg, CountsStepsFromZeroInWholeNumbers) {
  const auto labels = [](std::vector<std::pair<double, double>> points) {
    const std::string svg = render_svg({"x", "", {{"x", std::move(points)}}});
    static const std::regex label(R"(text-anchor="middle">([^<]*)<)");
    std::string all;
    for (std::sregex_iterator at(svg.begin(), svg.end(), label), end; at != end; ++at)
      all += (*at)[1].str() + " ";
    return all;
  };
  EXPECT_EQ(labels({{151, 5}}), "0 50 100 150 200 ");
  EXPECT_EQ(labels({{1, 5}, {2, 6}}), "0 1 2 ");
  EXPECT_EQ(labels({}), "0 1 ");
}

TEST(Svg, DrawsEveryFinitePointInsideThePicture) {
  const std::string svg = render_svg(example().plots[0]);
  static const std::regex point(R"([ML]([-0-9.]+) ([-0-9.]+))");
  int points = 0;
  for (std::sregex_iterator at(svg.begin(), svg.end(), point), end; at != end; ++at, ++points) {
    EXPECT_GE(std::stod((*at)[1]), 0);
    EXPECT_LE(std::stod((*at)[1]), 440);
    EXPECT_GE(std::stod((*at)[2]), 0);
    EXPECT_LE(std::stod((*at)[2]), 250);
  }
  EXPECT_EQ(points, 79);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  for (char buffer[4096]; const std::size_t n = fread(buffer, 1, sizeof buffer, pipe);)
    text.append(buffer, n);
  pclose(pipe);
  return text;
}

TEST(Report, StandsInABrowser) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "needs chromium, which is not here";
  const testing::TempDir folder;
  std::ofstream(folder / "report.html") << render_html(example());
  const std::string browser =
      "timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir=" + (folder / "profile") +
      " --window-size=1000,1400 ";
  const std::string page = " file://" + (folder / "report.html") + " 2>/dev/null";
  const std::string dom = output_of(browser + "--dump-dom" + page);
  EXPECT_NE(dom.find("Before and after"), std::string::npos);
  EXPECT_NE(dom.find("</svg>"), std::string::npos);
  output_of(browser + "--screenshot=" + (folder / "report.png") + page);
  std::ifstream png(folder / "report.png", std::ios::binary);
  std::stringstream bytes;
  bytes << png.rdbuf();
  EXPECT_GT(bytes.str().size(), 20000u);  // a blank page of this size is about 8 KB
}

}  // namespace
}  // namespace prefer
