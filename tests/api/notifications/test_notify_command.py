"""A trial message from the command line."""

import json

from typer.testing import CliRunner

from api.cli import app


def test_a_trial_message_goes_out_and_a_failure_says_why(tmp_path, robot, free_port) -> None:
    webhooks = tmp_path / "webhooks.toml"
    webhooks.write_text(
        f'[[webhook]]\nname = "zhiban"\ntemplate = "wecom"\nurl = "{robot.url}"\n', encoding="utf-8"
    )
    webhooks.chmod(0o600)
    config = tmp_path / "sunledger.toml"
    config.write_text(
        f'data_dir = "{tmp_path}"\nwebhook_networks = "127.0.0.0/8"\nsmtp_host = "127.0.0.1"\n'
        f'smtp_port = {free_port}\nsmtp_security = "none"\nsmtp_from = "a@example.cn"\n',
        encoding="utf-8",
    )
    runner = CliRunner()
    done = runner.invoke(app, ["notify", "test", "zhiban", "--config", str(config), "--json"])
    assert done.exit_code == 0, done.output
    assert "这是一条测试" in robot.received[0][2]["text"]["content"]
    assert json.loads(done.stdout)["summary"].startswith("对方已收下")
    for to, word in (("nobody", "没有这个机器人"), ("a@b.cn", "连不上邮件服务器")):
        refused = runner.invoke(app, ["notify", "test", to, "--config", str(config), "--json"])
        assert refused.exit_code == 2
        assert word in refused.output
