"""The live view in a real browser, headless Chromium, with a real service behind it."""

import contextlib
import shutil
import sqlite3
import time

import numpy as np
import pytest
from live import address, dots, multiply, url, write, write_failed, write_rejected
from service import session

pytest.importorskip("selenium")
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.skipif(
    not shutil.which("chromium") or not shutil.which("chromedriver"), reason="no Chromium"
)
PATIENCE = 60  # seconds until a test that waits for the page gives up
BEHIND = 10_000


class Page:
    """A browser with the live view of a service."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)

    def js(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def until(self, condition):
        WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: condition())

    def shows(self, seq):
        self.until(lambda: self.element("#viewer").get_attribute("data-seq") == str(seq))

    def element(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def elements(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.element(selector).text

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def tile(self, seq):
        self.until(lambda: self.elements(f".tile[data-seq='{seq}']"))
        return self.element(f".tile[data-seq='{seq}']")

    def drawn(self):
        return int(self.element("#circles").get_attribute("data-drawn"))

    def assert_clean(self):
        """Nothing was refused by the page's policy, failed, or asked of another machine."""
        assert [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and "/events?" not in entry["message"]] == []  # cut off
        origin = self.js("location.origin")
        loaded = self.js("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert loaded and all(name.startswith(origin + "/") for name in loaded), loaded


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--window-size=1400,900"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    with webdriver.Chrome(service=service, options=options) as chrome:
        yield chrome


@contextlib.contextmanager
def open_page(driver, *settings):
    """A service and its page, which has no micrograph yet."""
    with session("http.listen=127.0.0.1:0", "picker.profile=adaptive", "picker.min_score=0.3",
                 "publish.session=grid <3>", *settings) as (service, subscriber):
        page = Page(driver, url(service))
        page.until(lambda: page.text("#state") == "running")
        yield service, subscriber, page
        page.assert_clean()
        driver.get("about:blank")


def noise():
    return np.random.default_rng(8).normal(10, 2, (420, 420)).astype(np.float32)


def pixel(page, x, y):
    """Opacity of the circles at a point of the micrograph."""
    return page.js(f"""(() => {{
        const canvas = document.getElementById("circles");
        const at = placed(shown.row.shape, canvas.width, canvas.height);
        return canvas.getContext("2d").getImageData(
            Math.floor(at.left + ({x} + 0.5) * at.scale), Math.floor(at.top + ({y} + 0.5) * at.scale),
            1, 1).data[3]; }})()""")


def test_a_micrograph_that_was_just_written(driver):
    with open_page(driver) as (service, subscriber, page):
        assert page.text("#name") == "waiting for the first micrograph"
        write(service, "x <b>1.mrc")
        begin = time.monotonic()
        outcome = subscriber.outcome()
        page.shows(1)
        assert time.monotonic() - begin < 10
        assert page.text("#name") == "x <b>1.mrc"
        count = len(outcome.picks)
        assert count > 10
        assert (page.text("#count"), page.drawn()) == (str(count), count)
        assert page.js("shown.image.naturalWidth") == 420
        assert page.text("#session") == "grid <3>"
        # circles have the true diameter, around the centres
        radius = outcome.header["picker"]["diameter_px"] / 2
        x, y = outcome.picks[0, :2]
        for dx, dy in (radius, 0), (-radius, 0), (0, radius), (0, -radius):
            assert pixel(page, x + dx, y + dy) > 0
            assert pixel(page, x + 0.7 * dx, y + 0.7 * dy) == 0
        # the row that comes first is at the top, where this micrograph is brightest
        assert page.js("""(() => {
            const canvas = document.getElementById("picture"), context = canvas.getContext("2d");
            const at = placed(shown.row.shape, canvas.width, canvas.height);
            const grey = (x, y) => context.getImageData(at.left + x * at.scale, at.top + y * at.scale, 9, 9)
                .data.filter((_, i) => i % 4 === 0).reduce((a, b) => a + b);
            return grey(8, 8) > 1.2 * Math.max(grey(8, 440), grey(400, 8), grey(400, 440)); })()""")


def with_faint_row():
    """Dots whose last row is faint, so that scores differ."""
    image = dots(rows=range(110, 280, 40))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    for column in range(112, 320, 44):
        image = image - 14 * np.exp(-((y - 310) ** 2 + (x - column) ** 2) / 50)
    return image.astype(np.float32)


def test_the_slider_changes_circles_and_count(driver):
    settings = "picker.min_score=none", "picker.particle_diameter=20px"
    with open_page(driver, *settings) as (service, subscriber, page):
        write(service, "x.mrc", with_faint_row())
        scores = subscriber.outcome().picks[:, 2]
        page.shows(1)
        slider = page.element("#threshold")
        for steps in 50, 48, 1:
            slider.send_keys(Keys.ARROW_RIGHT * steps)
            value = float(slider.get_property("value"))
            expected = int((scores >= np.float32(value)).sum())
            assert abs(page.drawn() - expected) <= (np.abs(scores - value) < 1e-6).sum()
            assert page.text("#count") == str(page.drawn())
            assert page.text("#threshold-value") == f"{value:.2f}"
        assert value == 0.99 and 0 < page.drawn() < len(scores)
        slider.send_keys(Keys.HOME)
        assert page.drawn() == len(scores) and page.text("#threshold-value") == "any"
        page.js("document.activeElement.blur()")
        page.press("]" * 10)
        assert page.text("#threshold-value") == "0.50"
        page.press("c")
        assert page.drawn() == 0


def test_every_kind_is_told_apart_and_walked_through(driver):
    with open_page(driver) as (service, subscriber, page):
        makers = [write, write_rejected, write_failed, lambda s, name: write(s, name, noise()), write]
        outcomes = []
        for index, make in enumerate(makers, 1):
            make(service, f"{index}.mrc")
            outcomes.append(subscriber.outcome())
        assert [o.status for o in outcomes] == ["picked", "rejected", "failed", "picked", "picked"]
        assert len(outcomes[3].picks) == 0
        page.shows(5)
        assert page.text("#follow") == "following the newest"
        kinds = [set(page.tile(seq).get_attribute("class").split()) - {"tile", "selected", "unreliable"}
                 for seq in range(1, 6)]
        assert kinds == [{"picked"}, {"rejected"}, {"failed"}, {"picked", "zero"}, {"picked"}]
        for outcome in outcomes:  # the reason on hover
            title = page.tile(outcome.seq).get_attribute("title")
            assert (outcome.reason or f"{len(outcome.picks)} picks") in title and outcome.name in title
        assert page.tile(1).text == str(len(outcomes[0].picks)) and page.tile(2).text == "rejected"
        looks = [page.tile(seq).screenshot_as_png for seq in range(1, 5)]
        assert len(set(looks)) == 4

        for key, seq in ((Keys.ARROW_LEFT, 4), (Keys.ARROW_LEFT, 3), (Keys.ARROW_LEFT, 2),
                         (Keys.HOME, 1), (Keys.ARROW_LEFT, 1), (Keys.END, 5), (Keys.ARROW_RIGHT, 5),
                         (Keys.ARROW_LEFT, 4)):
            page.press(key)
            page.shows(seq)
            expected = outcomes[seq - 1]
            assert page.text("#name") == expected.name
            assert page.text("#message") == ("" if expected.status == "picked" else
                                             f"{expected.status}\n{expected.reason}")
            assert page.drawn() == len(expected.picks)
        # who looks at an earlier one is not carried away ...
        write(service, "6.mrc", dots(9))
        assert subscriber.outcome().seq == 6
        page.until(lambda: page.text("#follow") == "follow the newest (2 newer)")
        assert page.element("#viewer").get_attribute("data-seq") == "4"
        page.press(" ")  # ... until he wants to be
        page.shows(6)
        write(service, "7.mrc", dots(10))
        page.shows(7)
        page.tile(3).click()
        page.shows(3)


def test_the_state_of_the_service(driver):
    with open_page(driver) as (service, subscriber, page):
        write(service, "x.mrc")
        write_failed(service, "y.mrc")
        outcomes = subscriber.outcomes(2)
        page.until(lambda: page.text("#total-micrographs") == "2")
        assert page.text("#total-picks") == str(sum(len(o.picks) for o in outcomes))
        assert (page.text("#total-failed"), page.text("#total-rejected")) == ("1", "0")
        assert page.text("#watch") == f"{service.data}: inotify"
        assert "waiting" in page.text("#queue") and "cpu" in page.text("#device")
        for name in "x_PS.mrc", "gain.mrc":
            (service.data / name).touch()
        page.until(lambda: page.text("#left-out") == "left out: 1 spectrum, 1 reference")
        other = sqlite3.connect(service.state / "journal.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        write(service, "z.mrc")
        page.until(lambda: page.text("#state") == "stands still")
        assert "another program has it locked" in page.text("#journal")
        other.execute("ROLLBACK")
        other.close()
        page.until(lambda: page.text("#state") == "running" and page.text("#journal") == "")
        assert "journal_failed" in page.text("#error") or "locked" in page.text("#error")
        subscriber.outcome()
        # away, and back at the same place: nothing is missed
        service.settings["http.listen"] = "%s:%d" % address(service)
        service.write_config()
        service.stop()
        page.until(lambda: page.text("#state") == "connection lost, trying again")
        service.start()
        subscriber.connected()
        write(service, "again.mrc", dots(5))
        page.shows(4)
        page.until(lambda: page.text("#state") == "running")


def test_plots(driver):
    with open_page(driver) as (service, subscriber, page):
        for index in range(6):
            write(service, f"{index}.mrc", dots(index))
            subscriber.outcome()
        page.until(lambda: page.js("PLOTS.every(plot => plot.graph && plot.graph.numRows() >= 2)"))
        page.until(lambda: page.js("plotSeqs.length") == 6)
        titles = [plot.text for plot in page.elements(".plot h2")]
        for word in "picks per micrograph", "median score", "masked", "close to published", "hour":
            assert any(word in title for title in titles)
        assert page.js("PLOTS[0].graph.getValue(5, 1)") == page.js("rows[6].count")
        # what is under the pointer is named, a click shows it
        area = page.elements(".plot canvas")[1]
        ActionChains(driver).move_to_element_with_offset(area, 40, 0).perform()
        page.until(lambda: "#" in page.elements(".plot h2 b")[0].text)
        seq = page.elements(".plot h2 b")[0].text.split()[0].removeprefix("#")
        ActionChains(driver).click().perform()
        page.shows(seq)


def test_without_the_plotting_library(driver):
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/plot.js"]})
    try:
        with open_page(driver) as (service, subscriber, page):
            write(service, "x.mrc")
            page.shows(1)
            assert page.text("#count") == str(len(subscriber.outcome().picks))
            assert page.text("#plots") == "no plots: built without libjs-dygraphs"
            driver.get_log("browser")  # that it was blocked
    finally:
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        driver.execute_cdp_cmd("Network.disable", {})


def test_ten_thousand_behind(driver):
    with session("http.listen=127.0.0.1:0", "picker.profile=adaptive") as (service, subscriber):
        multiply(service, subscriber, BEHIND)
        begin = time.monotonic()
        page = Page(driver, url(service))
        page.shows(BEHIND)
        first = time.monotonic() - begin
        # the service continues while the page loads all of them
        write(service, "new.mrc", dots(5))
        outcome = subscriber.outcome()
        assert outcome.seq == BEHIND + 1
        page.shows(BEHIND + 1)
        page.until(lambda: page.js("first") == 1)
        everything = time.monotonic() - begin
        print(f"{BEHIND} behind: first shown after {first:.2f} s, all after {everything:.2f} s")
        assert first < 10 and everything < 40
        assert page.js("rows.filter(row => row).length") == BEHIND + 1
        page.until(lambda: page.js("plotSeqs.length") == BEHIND + 1)
        assert len(page.elements(".tile")) < 60
        page.press(Keys.HOME)
        page.shows(1)
        page.tile(3)
        assert page.text("#message") == "its picture is not kept any more"
        assert page.drawn() > 10
        begin = time.monotonic()
        for _ in range(20):
            page.press(Keys.ARROW_RIGHT)
        page.shows(21)
        assert time.monotonic() - begin < 10
        memory = page.js("performance.memory.usedJSHeapSize")
        print(f"memory of the page: {memory / 1e6:.0f} MB")
        page.assert_clean()
        driver.get("about:blank")
