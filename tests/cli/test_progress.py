from gtn_nas.cli.progress import StageProgress


def test_a_log_gets_a_line_when_a_stage_begins_and_when_it_is_done(capsys):
    with StageProgress() as shown:
        for done in range(101):
            shown.update("steps", done, 100, f"loss {done}")
        shown.say("a [bold]path[/bold]")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  (")[0] for line in lines] == [
        "steps: 0/100  loss 0",
        "steps: 100/100  loss 100",
        "a [bold]path[/bold]",
    ]


def test_the_rate_counts_only_what_was_done_since_the_stage_was_seen(capsys):
    with StageProgress() as shown:
        assert shown.update("steps", 90, 100, "") == 0.0
        assert shown.update("steps", 91, 100, "") > 0
    assert "90/100" in capsys.readouterr().err
