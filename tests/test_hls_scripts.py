"""The tools' scripts: run to their end by stand-ins that refuse what the real tools refuse."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sparse_qonnx.hls import to_hls

# Each command knows its own options, how many arguments it takes, and what has to come before it. An unknown command is
# an error in Tcl by itself.
STUB = """
set state start
proc need {wanted} { global state; if {[lsearch $wanted $state] < 0} { error "called in state $state, needs $wanted" } }
proc options {name arguments flags valued} {
    set rest {}
    for {set i 0} {$i < [llength $arguments]} {incr i} {
        set a [lindex $arguments $i]
        if {[lsearch -exact $flags $a] >= 0} continue
        if {[lsearch -exact $valued $a] >= 0} {
            if {[incr i] >= [llength $arguments]} { error "$name: $a has no value" }
            continue
        }
        if {[string match -* $a]} { error "$name: unknown option $a" }
        lappend rest $a
    }
    return $rest
}
proc exactly {n name rest} { if {[llength $rest] != $n} { error "$name takes $n arguments, not $rest" } }
proc open_project args { global state; need start; exactly 1 open_project [options open_project $args -reset {}]
    set state project }
proc set_top args { need project; exactly 1 set_top $args }
proc add_files args { need project
    set files [options add_files $args -tb {-cflags -csimflags}]
    exactly 1 add_files $files
    if {![file exists [lindex $files 0]]} {error "add_files: $files is not there"} }
proc open_solution args { global state vitis; need project
    exactly 1 open_solution [options open_solution $args -reset [expr {$vitis ? "-flow_target" : {}}]]
    set state solution }
proc set_part args { global state; need solution; exactly 1 set_part $args; set state part }
proc create_clock args { global state; need part
    exactly 0 create_clock [options create_clock $args {} {-period -name}]; set state ready }
proc set_clock_uncertainty args { need ready; exactly 2 set_clock_uncertainty $args
    if {![regexp {^[0-9.]+%?$} [lindex $args 0]]} {error "set_clock_uncertainty: $args"}; puts "uncertainty $args" }
proc config_compile args { need ready; exactly 0 config_compile [options config_compile $args {} -name_max_length] }
proc config_array_partition args { global vitis; need ready
    if {$vitis} {error "config_array_partition -maximum_size is Vivado's"}
    exactly 0 config_array_partition [options config_array_partition $args {} -maximum_size] }
proc csim_design args { need {ready synthesized}; exactly 0 csim [options csim_design $args {-clean -O} -argv]
    puts "did csim" }
proc csynth_design args { global state; need ready; exactly 0 csynth_design $args
    set state synthesized; puts "did synth" }
proc cosim_design args { need synthesized; exactly 0 cosim [options cosim_design $args {} {-trace_level -rtl}]
    puts "did cosim" }
proc export_design args { need synthesized; exactly 0 export [options export_design $args {} {-format -rtl}]
    puts "did export" }
"""

BACKENDS = ["Vitis", "Vivado", "VitisUnified"]
COMMANDS = {"Vitis": "vitis_hls -f", "Vivado": "vivado_hls -f", "VitisUnified": "vitis-run --mode hls --tcl"}


def run(folder: Path, backend: str, steps: str | None = None, stub: str = STUB) -> subprocess.CompletedProcess[str]:
    if shutil.which("tclsh") is None:
        pytest.skip("tclsh is not installed")
    driver = folder.parent / "driver.tcl"
    driver.write_text(f"{stub}\nset vitis {int(backend != 'Vivado')}\nsource build_prj.tcl\n")
    environment = {k: v for k, v in os.environ.items() if k != "HLS_STEPS"} | ({"HLS_STEPS": steps} if steps else {})
    return subprocess.run(["tclsh", str(driver)], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tcl_runs_to_its_end(backend: str, small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    to_hls(small_model, folder, backend, clock_period=4, config={"clock_uncertainty": "12.5%", "namespace": "tiny"})
    done = run(folder, backend, "csim synth cosim export")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == [
        "uncertainty 12.5% default", "did csim", "did synth", "did cosim", "did export", "",
    ]  # fmt: skip
    assert run(folder, backend).stdout.split("\n")[1:] == ["did csim", "did synth", ""]
    assert run(folder, backend, "synth").stdout.split("\n")[1:] == ["did synth", ""]
    refused = run(folder, backend, "synt")
    assert refused.returncode == 2 and "unknown step synt" in refused.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("set_part", "set_prt"),
        ("-period", "-perod"),
        ("csynth_design", "cosim_design"),
        ("set_top sparse_cnn", "set_top"),
    ],
)
def test_the_stand_ins_refuse(before: str, after: str, small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    to_hls(small_model, folder)
    script = folder / "build_prj.tcl"
    script.write_text(script.read_text().replace(before, after))
    assert run(folder, "Vitis", "synth cosim").returncode != 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_makefile_names_the_tool_and_its_targets(backend: str, small_model: Path, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = tmp_path / "firmware"
    to_hls(small_model, folder, backend)
    for target in ("csim", "synth", "cosim", "export"):
        command = ["make", "--no-print-directory", "-n", target]  # the suite itself may run under make
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.strip() == f'HLS_STEPS="{target}" {COMMANDS[backend]} build_prj.tcl'


def test_configuration_file_of_the_unified_tool(small_model: Path, tmp_path: Path) -> None:
    """Its keys are those of UG1399; every file it names is there."""
    folder = tmp_path / "firmware"
    to_hls(small_model, folder, "VitisUnified", clock_period=4, config={"clock_uncertainty": 0.5})
    text = (folder / "hls_config.cfg").read_text()
    parser = configparser.ConfigParser(strict=False)
    parser.read_string("[top]\n" + text)
    hls = dict(parser["hls"])
    assert parser["top"]["part"] == "xcu250-figd2104-2L-e"
    assert (hls["clock"], hls["clock_uncertainty"], hls["syn.top"]) == ("4ns", "0.5", "sparse_cnn")
    files = [line.partition("=")[2] for line in text.splitlines() if line.startswith(("syn.file=", "tb.file="))]
    assert len(files) == 3 and all((folder / name).exists() for name in files)
    assert not (tmp_path / "other").exists()
    to_hls(small_model, tmp_path / "other", "Vitis")
    assert not (tmp_path / "other" / "hls_config.cfg").exists()
