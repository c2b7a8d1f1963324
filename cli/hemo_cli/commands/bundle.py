"""``hemo-batch bundle``: look at, check, sign, compare and pack model bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.commands.bundle_diff import diff
from hemo_cli.console import print_fields, print_json
from hemo_cli.options import bundle_argument, json_option
from hemo_cli.settings import SETTINGS
from hemo_core.records import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hemo_core.bundle import Bundle
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.bundle.signatures import SignatureState

_HEATMAP_CHECK = {
    "passed": "passed their randomisation check",
    "failed": "failed their randomisation check: workers draw none unless asked",
    "not_measured": "their quality was not measured",
}


_key_option = SETTINGS["trusted_keys"].option(
    flags=("--key",),
    text="One of these keys must have signed it: a .pub file, or ed25519:…. May be repeated.",
    metavar="PUBLIC",
)


@click.group()
@click.pass_context
def bundle(ctx: click.Context) -> None:
    """Look at, check, sign, compare and pack model bundles."""
    ctx.default_map = dict.fromkeys(bundle.commands, ctx.default_map)


bundle.add_command(diff)


@bundle.command()
@bundle_argument
@_key_option
@json_option
def show(path: Path | None, trusted_keys: tuple[PublicKey, ...], as_json: bool) -> None:
    """What a bundle is: labels, input, threshold, metrics, licence. Default: the one that came along."""
    opened = _open(path)
    if as_json:
        signature = encode(_signature(opened, trusted_keys))
        print_json({"path": str(opened.path), "digest": opened.digest, "signature": signature, **opened.content})
        return
    print_fields(f"{opened.name} {opened.version}", _facts(opened, trusted_keys))


@bundle.command()
@bundle_argument
@_key_option
@json_option
def verify(path: Path | None, trusted_keys: tuple[PublicKey, ...], as_json: bool) -> None:
    """Check the digest of every file, and who signed them; exit code 4 if the bundle is refused.

    Without --key, the keys that workers are told to trust are taken; without those, no signature is asked for.
    """
    opened = _open(path, trusted_keys)
    signature = _signature(opened, trusted_keys)
    facts = {"name": opened.name, "version": opened.version, "digest": opened.digest, "path": str(opened.path)}
    if as_json:
        counted = {"verified": True, "files": len(opened.manifest.files)}
        print_json({**counted, "signature": encode(signature), **facts})
        return
    title = f"verified: {len(opened.manifest.files)} files are what was sealed"
    print_fields(title, {**facts, "signature": signature.in_words()})


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def pack(path: Path, target: Path, as_json: bool) -> None:
    """Pack the bundle folder PATH into the single file OUT (.hemo)."""
    from hemo_core.bundle import open_bundle
    from hemo_core.bundle.archive import pack as pack_bundle
    from hemo_core.files import check_writable

    check_writable(target.parent)
    written = pack_bundle(open_bundle(path), target)
    if as_json:
        print_json({"path": str(written)})
        return
    print_fields("packed", {"file": written})


@bundle.command()
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase", "ask", is_flag=True, help="Ask for a passphrase that encrypts the private key.")
@json_option
def keygen(target: Path, ask: bool, as_json: bool) -> None:
    """Make a key pair: OUT is private, for `sign`; OUT.pub is public, for whoever is to trust it.

    An existing file is never overwritten.
    """
    from hemo_core.bundle.keys import make_pair
    from hemo_core.files import check_writable

    check_writable(target.parent)
    passphrase = click.prompt("passphrase", hide_input=True, confirmation_prompt=True, err=True) if ask else None
    public, public_path = make_pair(target, passphrase)
    if as_json:
        facts = {
            "private": str(target),
            "public": str(public_path),
            "key_id": public.key_id,
            "trusted_key": public.text,
        }
        print_json(facts)
        return
    print_fields(
        "a new key pair",
        {
            "private": f"{target} (keep it to yourself, and a copy in a safe place)",
            "public": public_path,
            "key id": public.key_id,
            "to trust it": f"HEMO_TRUSTED_KEYS={public.text}",
        },
    )


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--key", required=True, type=click.Path(path_type=Path), metavar="PRIVATE", help="What `keygen` wrote.")
@click.option("--again", is_flag=True, help="Replace the signature of another key.")
@json_option
def sign(path: Path, key: Path, again: bool, as_json: bool) -> None:
    """Verify the bundle PATH and sign it: a folder gets a bundle.sig, a .hemo file is written anew.

    No other file changes, and neither does the bundle's digest.
    """
    from hemo_core.bundle.keys import read_private_key
    from hemo_core.bundle.sign import sign_bundle

    private = read_private_key(key, lambda: str(click.prompt(f"passphrase of {key}", hide_input=True, err=True)))
    signed = sign_bundle(path, private, again=again)
    facts = {"name": signed.name, "version": signed.version, "digest": signed.digest, "path": str(path)}
    if as_json:
        print_json({"key_id": signed.signed_by, **facts})
        return
    print_fields("signed", {**facts, "key id": signed.signed_by})


def _open(path: Path | None, trusted: tuple[PublicKey, ...] = ()) -> Bundle:
    from hemo_core.bundle import open_bundle, released_bundle

    return open_bundle(path or released_bundle(), trusted)


def _signature(opened: Bundle, trusted: tuple[PublicKey, ...]) -> SignatureState:
    from hemo_core.bundle.signatures import signature_state

    return signature_state(opened.signature, opened.digest, trusted)


def _heatmap_rows(opened: Bundle) -> dict[str, str]:
    """A row for each figure about the heat maps that the bundle holds."""
    found = opened.manifest.heatmaps
    if not found:
        return {}
    from hemo_trainer.heatmap_quality.lines import heatmap_lines

    return {f"  {line.name.partition(':')[0].lower()}": line.in_words() for line in heatmap_lines(found)}


def _facts(opened: Bundle, trusted: tuple[PublicKey, ...]) -> dict[str, Any]:
    windows = ", ".join(f"level {window.level:g} width {window.width:g}" for window in opened.input.windows)
    origin = opened.manifest.origin
    return {
        "path": opened.path,
        "digest": opened.digest,
        "signature": _signature(opened, trusted).in_words(),
        "findings": ", ".join(opened.scoring.names),
        "input": f"{opened.input.height}×{opened.input.width}, {windows} HU",
        "threshold": f"{opened.scoring.threshold:.4f} (probability, {'not ' if origin else ''}calibrated)",
        "calibration": f"temperature {opened.scoring.temperature:.4f}",
        **{
            f"  {one.name}": f"told beside it; threshold {one.threshold:.4f}, temperature {one.temperature:.4f}"
            for one in opened.scoring.details
        },
        **({"origin": f"{origin['file']}; {origin['statement']}"} if origin else {}),
        "grad-cam": opened.manifest.explain.path,
        "heat maps": _HEATMAP_CHECK[opened.heatmap_check],
        **_heatmap_rows(opened),
        **variant_rows(opened),
        "licence": opened.manifest.licence or "not stated",
        "made from": opened.manifest.git_commit or "unknown commit",
    }


def variant_rows(bundle: Bundle) -> dict[str, str]:
    """A line for each precision that the bundle holds or tells about."""
    from hemo_core.inference.precision import variants

    rows: dict[str, str] = {}
    for name, entry in variants(bundle).items():
        held = bundle.manifest.files.get(entry.cnn)
        if held is None or not entry.released:
            rows[name] = f"not released: {entry.reason or 'no reason given'}"
            continue
        rows[name] = ", ".join(["released", f"CNN {held.bytes / 1e6:.1f} MB", *_figures(entry.benchmark)])
    return rows


def _figures(benchmark: Mapping[str, Any] | None) -> list[str]:
    """Speed and memory, as far as they were measured."""
    if not benchmark:
        return []
    times = {int(batch): spent for batch, spent in benchmark["ms_per_slice"].items()}
    figures = " / ".join(f"{times[batch]:.2f}" for batch in sorted(times))
    batches = "/".join(str(batch) for batch in sorted(times))
    return [f"{figures} ms a slice at batch {batches}", f"{benchmark['peak_mebibytes']} MiB"]
