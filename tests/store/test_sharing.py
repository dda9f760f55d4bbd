from __future__ import annotations

import pytest

from salcli.weights.drives import confirmed_link, direct_link, explain, is_page

DRIVE = "https://drive.usercontent.google.com/download?id=1aB_c-9&export=download&confirm=t"
WARNING = """<!DOCTYPE html><html><head><title>Virus scan warning</title></head><body>
<form action="/search" method="get"><input type="hidden" name="elsewhere" value="1"></form>
<form id="download-form" action="{action}" method="get">
<input type="submit" name="button" value="Download anyway"/>
<input type="hidden" name="id" value="1aB_c-9"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="a&amp;b">
</form>
</body></html>"""


@pytest.mark.parametrize(
    ("shared", "direct"),
    [
        ("https://drive.google.com/file/d/1aB_c-9/view?usp=sharing", DRIVE),
        ("https://drive.google.com/open?id=1aB_c-9", DRIVE),
        ("https://drive.google.com/uc?id=1aB_c-9&export=download", DRIVE),
        ("https://docs.google.com/uc?export=download&id=1aB_c-9", DRIVE),
        ("https://drive.google.com/open?id=1aB_c-9&resourcekey=0-x", DRIVE + "&resourcekey=0-x"),
        (
            "https://www.dropbox.com/s/ja8x/net.caffemodel?dl=0",
            "https://www.dropbox.com/s/ja8x/net.caffemodel?dl=1",
        ),
        (
            "https://www.dropbox.com/scl/fi/x/net.pt?rlkey=k&dl=0",
            "https://www.dropbox.com/scl/fi/x/net.pt?rlkey=k&dl=1",
        ),
        ("https://www.dropbox.com/s/ja8x/n", "https://www.dropbox.com/s/ja8x/n?dl=1"),
        ("https://example.org/a?dl=0", "https://example.org/a?dl=0"),
        ("https://drive.google.com/", "https://drive.google.com/"),
    ],
)
def test_share_links_lead_to_the_bytes(shared: str, direct: str) -> None:
    assert direct_link(shared) == direct
    assert direct_link(direct) == direct


@pytest.mark.parametrize("action", ["/download", "http://host:8000/download?id=old"])
def test_the_form_of_a_confirmation_page_is_submitted(action: str) -> None:
    link = confirmed_link(WARNING.format(action=action), "http://host:8000/uc?id=1")
    assert link == "http://host:8000/download?id=1aB_c-9&export=download&confirm=t&uuid=a%26b"


@pytest.mark.parametrize(
    "page",
    [
        "<html>nothing</html>",
        WARNING.format(action="file:///etc/passwd"),
        "<form id='download-form'>",
    ],
)
def test_other_pages_lead_nowhere(page: str) -> None:
    assert confirmed_link(page, "http://host/") is None


def test_pages_are_explained() -> None:
    assert "quota" in explain("<title>Google Drive - Quota exceeded</title>")
    assert "quota" in explain("<p>Too many users have viewed or downloaded this file recently.</p>")
    assert "sign in" in explain('<a href="https://accounts.google.com/signin/x">')
    assert "'Not here'" in explain("<html><title>\n Not  here</title>")
    assert explain("<html>") == "the site served a web page instead of the file"


@pytest.mark.parametrize(
    "head", [b"<!DOCTYPE html>", b"\n  <html lang=en>", b"\xef\xbb\xbf<HEAD>", b"<?xml version"]
)
def test_html_is_recognised_by_its_first_bytes(head: bytes) -> None:
    assert is_page("application/octet-stream", head)


def test_a_safetensors_header_is_no_page() -> None:
    assert not is_page("binary/octet-stream", b"<\x00\x00\x00\x00\x00\x00\x00{")
    assert is_page("text/html; charset=utf-8", b"PK\x03\x04")
