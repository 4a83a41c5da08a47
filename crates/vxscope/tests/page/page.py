"""Drives the page of a running sensor in headless Chromium, as a person would, and says what it
found as one object of JSON. Arguments: the sensor's address, and a folder for pictures."""

import json
import pathlib
import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]


def browser(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def scheme(driver, name):
    features = [{"name": "prefers-color-scheme", "value": name}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def size(driver, width, height, mobile=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def shown(driver, selector):
    """Elements that are there to be seen; asked at one instant, because the page changes."""
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter((one) => one.getClientRects().length)",
        selector)


def picture(driver, folder, name):
    time.sleep(0.4)
    driver.save_screenshot(str(folder / f"{name}.png"))


def overflow(driver):
    """How much wider than the window the page is: nobody should have to scroll sideways."""
    return driver.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth")


def asked(driver):
    """Every address that the browser asked."""
    messages = (json.loads(line["message"])["message"] for line in driver.get_log("performance"))
    sent = (one for one in messages if one["method"] == "Network.requestWillBeSent")
    urls = {one["params"]["request"]["url"].split("?")[0] for one in sent}
    # The browser's own empty page is not ours.
    return sorted(url for url in urls if not url.startswith(("chrome:", "data:")))


def main(address, folder):
    found = {}
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            size(driver, 1360, 1000)
            scheme(driver, "light")
            driver.get(f"http://{address}/")
            wait = WebDriverWait(driver, 60, poll_frequency=0.1)
            wait.until(lambda it: shown(it, "#tiles .tile") and shown(it, ".card"))
            found["cards"] = len(shown(driver, ".card"))
            # Somebody is paused after a while.
            # (A source that is just being enrolled is off without a decision.)
            # (A card is made anew while somebody looks, so it is found and clicked at one instant.)
            def decided(it, click=False):
                return it.execute_script("""
                    const one = [...document.querySelectorAll(".card.off")]
                        .filter((one) => one.getClientRects().length)
                        .find((one) => one.textContent.includes("comparable hours"));
                    if (one && arguments[0]) one.click();
                    return one && one.dataset.source;""", click)

            wait.until(decided)
            time.sleep(1)
            picture(driver, folder, "light")
            found["overflow"] = [overflow(driver)]

            # Why is it paused? One click: the card.
            # (Pauses of a demonstration are short: this one may end while somebody clicks.)
            for _ in range(5):
                found["paused"] = wait.until(lambda it: decided(it, click=True))
                wait.until(lambda it: shown(it, "#why"))
                found["why"] = driver.find_element(By.ID, "why").text
                if found["why"].startswith("Why it is paused"):
                    break
                driver.execute_script("document.getElementById('detail').close()")
            found["detail"] = driver.find_element(By.ID, "detail").text
            picture(driver, folder, "why")
            driver.execute_script("document.getElementById('detail').close()")

            scheme(driver, "dark")
            driver.execute_script("document.getElementById('decisions').scrollIntoView({behavior: 'instant'})")
            wait.until(lambda it: shown(it, "#timeline circle"))
            found["decisions"] = len(shown(driver, "#decision-list li"))
            picture(driver, folder, "dark-decisions")
            driver.execute_script("scrollTo({top: 0, behavior: 'instant'})")
            picture(driver, folder, "dark")

            search = driver.find_element(By.CSS_SELECTOR, "#flows-form input")
            search.send_keys("tcp")
            search.submit()
            # Nobody clicks on a row that is just being replaced.
            wait.until(lambda it: shown(it, "#flow-table tbody tr"))
            time.sleep(1)
            found["flows"] = len(shown(driver, "#flow-table tbody tr"))
            # Its packets, as a capture.
            # (Pictures are kept from run to run; this one is of this run.)
            downloads = pathlib.Path(profile) / "downloads"
            behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
            driver.execute_cdp_cmd("Page.setDownloadBehavior", behaviour)
            # The size of the window is a pretended one, so a click by place may miss.
            driver.execute_script("document.querySelector('#flow-table tbody button').click()")
            given = wait.until(lambda it: [one for one in shown(it, "#flow-table button") if one.text != "get"])
            found["given"] = given[0].text
            captures = wait.until(lambda it: list(downloads.glob("flow-*.pcap")))
            found["capture"] = captures[0].read_bytes()[:4].hex()

            search.clear()
            search.send_keys("<img src=x onerror=alert(1)>")
            search.submit()
            wait.until(lambda it: shown(it, "#flows-error"))
            found["error"] = driver.find_element(By.ID, "flows-error").text
            found["injected"] = len(driver.find_elements(By.CSS_SELECTOR, "#flows-error img"))

            size(driver, 390, 844, True)
            driver.execute_script("scrollTo({top: 0, behavior: 'instant'})")
            picture(driver, folder, "phone")
            found["overflow"].append(overflow(driver))
            found["wide"] = driver.execute_script("""
                const width = document.documentElement.clientWidth;
                return [...document.querySelectorAll("body *")]
                    .filter((one) => one.getBoundingClientRect().right > width + 1)
                    .filter((one) => !one.closest(".scroll, nav"))
                    .map((one) => one.tagName + "." + one.className).slice(0, 5)""")
            driver.execute_script("document.getElementById('sources').scrollIntoView({behavior: 'instant'})")
            picture(driver, folder, "phone-sources")

            found["asked"] = asked(driver)
            # A 400 for the hostile search is what was wanted.
            log = driver.get_log("browser")
            found["complaints"] = [one["message"] for one in log if "/api/v1/flows" not in one["message"]]
        finally:
            driver.quit()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
