"""How it is without us: SGLang's language server, SGLang's encoder, real photos and a real film."""

from dataclasses import dataclass
from pathlib import Path

from tests.interop.asking import Part, image, text, video
from tests.interop.sglang_process import LanguageServer

QUESTION = text("What is this?")
ROWS = {"rocket.jpg": 15 * 23, "coffee.png": 14 * 21}
FILM, FILM_ROWS = "carphone_pristine.mp4", 4 * 11 * 13
TOKENS = 16


@dataclass(frozen=True)
class Answer:
    """What a prompt came to, in tokens, and what was said."""

    images: int
    videos: int
    said: tuple[int, ...]


def ask(server: LanguageServer, *content: Part) -> Answer:
    status, body = server.chat(list(content), TOKENS)
    assert status == 200, (body, server.tail())
    counted, (choice,) = body["usage"]["prompt_tokens_details"], body["choices"]
    said = tuple(choice["response_token_ids"])
    assert len(said) == TOKENS
    return Answer(counted.get("image_tokens", 0), counted.get("video_tokens", 0), said)


def test_the_same_image_is_answered_alike_and_another_one_is_not(sglang_language: LanguageServer, photos: Path) -> None:
    first, again, other = (
        ask(sglang_language, image(photos / name), QUESTION) for name in ("rocket.jpg", "rocket.jpg", "coffee.png")
    )
    assert first.images == ROWS["rocket.jpg"]
    assert other.images == ROWS["coffee.png"]
    assert first == again
    assert first.said != other.said


def test_several_images(sglang_language: LanguageServer, photos: Path) -> None:
    answer = ask(sglang_language, *(image(photos / name) for name in ROWS), QUESTION)
    assert answer.images == sum(ROWS.values())


def test_video(sglang_language: LanguageServer, clips: Path) -> None:
    answer = ask(sglang_language, video(clips / FILM), QUESTION)
    assert (answer.images, answer.videos) == (0, FILM_ROWS)


def test_image_and_video(sglang_language: LanguageServer, photos: Path, clips: Path) -> None:
    answer = ask(sglang_language, image(photos / "rocket.jpg"), video(clips / FILM), QUESTION)
    assert (answer.images, answer.videos) == (ROWS["rocket.jpg"], FILM_ROWS)
