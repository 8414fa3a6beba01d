#!/usr/bin/python3
"""Writes corpus/picks beside this script: files of picks as fuzz_picks.c takes them, the number of
their format in front.

The same files every time; run it after changing it and commit what it wrote.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent / "corpus/picks"
STAR, CRYOSPARC, BOX, CBOX, TSV, CSV, JSON = range(7)

HEAD = "\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n"
OBJECT = {
    "micrograph": {"path": "/data/x.mrc", "name": "x.mrc", "shape": [4092, 5760]},
    "result": {"status": "picked", "count": 2}, "columns": ["x", "y", "score", "area"],
    "picks": [[1.5, 2.5, 0.5, 7], [3, 4, None, None]],
}


def files():
    yield "star", STAR, HEAD + "_rlnAutopickFigureOfMerit #3\n1.5 2.5 0.75\n3 4 -999\n\n"
    yield "star_none", STAR, HEAD
    yield "star_quotes", STAR, HEAD + "'1' \"2\"\n"
    yield "star_quote_open", STAR, HEAD + "'1 2\n"
    yield "star_short_row", STAR, HEAD + "1\n"
    yield "star_no_labels", STAR, "data_\nloop_\n1 2\n"
    yield "star_many_labels", STAR, "data_\nloop_\n" + "_l\n" * 200
    yield "star_many_words", STAR, HEAD + "1 " * 500
    yield "star_long_label", STAR, "data_\nloop_\n_" + "l" * 200 + "\n"
    yield "star_pairs", STAR, "data_\n_rlnVersion 1\n" + HEAD + "1 2\n_rlnThing 7\n"
    yield "star_one_row", STAR, "data_\n_rlnCoordinateX 1\n_rlnCoordinateY '2 '\n"
    yield "star_pairs_then_loop", STAR, "data_\n_rlnVersion 1\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 2\n"
    yield "star_pair_no_value", STAR, "data_\n_rlnCoordinateX\n"
    yield "star_pair_end", STAR, "\ufeffdata_\r\n_rlnCoordinateX 1\r\n_rlnCoordinateY 2"
    yield "star_pairs_long", STAR, "data_\n" + ("_l " + "v" * 40000 + "\n") * 3
    yield "star_missing", STAR, HEAD + "_rlnAutopickFigureOfMerit #3\n1 2 <NA>\n3 4 nan\n5 6 ?\n"
    yield "star_tomogram", STAR, HEAD + "_rlnCoordinateZ #3\n1 2 0\n1 2 3\n"
    yield "star_no_block", STAR, "text\nloop_\n_rlnCoordinateX\n1\n"
    yield "star_list", STAR, ("data_\nloop_\n_rlnMicrographName\n_rlnMicrographCoordinates\n"
                              "x.mrc no/such.star\n")
    yield "star_end_of_labels", STAR, "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY"
    yield "cryosparc", CRYOSPARC, HEAD + "_rlnMicrographName #3\n1 2 a.mrc\n3 4 b/a.mrc\n5 6 a.mrc\n"
    yield "box", BOX, "1 2 40 40\n-3\t4\t41\t41\t-3\n1.5 2 40 40.5\n"
    yield "box_helix", BOX, "# a\n1 2 40 40 -1\n9 9 40 40 -2\n"
    yield "box_short", BOX, "1 2 3\n"
    yield "box_huge", BOX, "1e300 1 1 1\n"
    yield "cbox", CBOX, ("data_global\n_cbox_format_version 1.0\ndata_cryolo\nloop_\n_CoordinateX #1\n"
                         "_CoordinateY #2\n_Width #3\n_Height #4\n_Confidence #5\n1.5 2 40 40 0.5\n"
                         "1 2 40 40 <NA>\ndata_cryolo_include\nloop_\n_slice_index #1\n")
    yield "tsv", TSV, "image_name\tx_coord\ty_coord\tscore\na\t1\t2\t0.5\nb\t1\t2\t\n"
    yield "tsv_cells", TSV, "image_name\tx_coord\ty_coord\n" + "\t" * 100 + "\n"
    yield "tsv_names", TSV, "\t" * 100 + "\n"
    yield "csv", CSV, "x,y,score,area\r\n1.5,2.5,0.5,7\r\n1,2,,\r\n"
    yield "csv_quotes", CSV, '\ufeff# c\n"x", "y" ,"a, ""b""",score\n"1","2","",-999\n"1"2,3,"4,\n'
    yield "csv_nan", CSV, "x,y\nnan,1\n"
    yield "json", JSON, (json.dumps(OBJECT) + "\n") * 2
    yield "json_rows", JSON, json.dumps(OBJECT | {"picks": [[1, 2], 7]})
    yield "json_cut", JSON, json.dumps(OBJECT)[:90]
    yield "zeros", CSV, "\0" * 64
    yield "long_line", BOX, "1" * 70000
    yield "control", CSV, "x,y\n1,\x1b[31m\n"


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for name, number, text in files():
        (HERE / name).write_bytes(bytes([number]) + text.encode())


if __name__ == "__main__":
    main()
