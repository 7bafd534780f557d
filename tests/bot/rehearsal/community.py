"""A community where everything is in use at once: the starter shop, three groups, hard people."""

from __future__ import annotations

from pathlib import Path

from bot.starter import copy_starter
from bot.workspace import Workspace, inspect_workspace, show_problems

PEOPLE = """
tags:
  交流群: {note: 贴在群上的。}
  售后群: {note: 贴在群上的。}

groups:
  - {match: "小满交流群*", kind: 线索, tags: [交流群]}
  - {match: "小满售后群*", kind: 服务, tags: [售后群, 训练营]}

rules:
  - id: check-in
    on: message
    where: anywhere
    match: {any: [签到]}
    do: [{check_in: today}]
  - id: shared
    on: message
    where: anywhere
    match: {any: [晒单]}
    do: [{points: +5, reason: 晒单, per_day: 5}]

audiences:
  - {id: 大家, all: [{friend: true}, {not: {tag: 免打扰}}]}

pushes:
  - id: fortnight
    title: 半月一问
    to: {audience: 大家}
    at: {cron: "0 14 1,15 * *"}
    say: push/restock
    window: "09:00-21:00"
    within: 1d
  - id: regulars
    title: 老客先知道
    to: {audience: 老客在听}
    at: {cron: "0 15 * * thu"}
    say: push/restock
    within: 2d

rehearsal:
  people:
    - name: 爽快的
      share: 3
      tags: {宝妈: 0.6, 核心用户: 0.2}
      attributes: {宝宝生日: ["2025-06-20", "2025-07-03"]}
      reply: 0.7
      words: [要, 好的, 多少钱, 怎么下单, 进群, 签到]
      spontaneous: 0.12
      chatter: 0.3
      group_words: [签到, 打卡, 晒单, 学到了, 排行榜]
      buys: 0.5
    - name: 打卡的
      share: 2
      reply: 0.5
      words: [签到, 拉我进群, 谢谢, 我的积分]
      spontaneous: 0.5
      chatter: 0.8
      group_words: [签到, 打卡, 补打卡]
    - name: 发广告的
      share: 1
      reply: 0.05
      words: [在吗]
      chatter: 0.2
      group_words:
        - 加我微信 abc12345 低价代购，量大从优
        - 刷单日结兼职，联系电话 13800138000
        - 招代理加盟
    - {name: 只看不说的, share: 3, reply: 0.03, words: [嗯], leaves: 0.15}
    - {name: 容易烦的, share: 1, reply: 0.4, words: [别发了, 退订, 不用], leaves: 0.5}
    - name: 老客
      share: 2
      enter: known
      tags: {已购买: 1, VIP: 0.1, 核心用户: 0.3}
      wrote: 1d-25d
      reply: 0.5
      words: [快没了, 老地方下单, 谢谢, 加群, 骗子]
      spontaneous: 0.05
      chatter: 0.1
      buys: 0.5
      leaves: 0.05
    - {name: 睡着的, share: 1, enter: known, wrote: 25d-120d, words: [嗯, 不用], leaves: 0.1}
  groups:
    - {topic: 小满交流群①, members: 0.4, brought: 0.5, leaves: 0.2}
    - {topic: 小满福利群①, members: 0.4, brought: 0.9, leaves: 0.2, words: [哈哈, 收到, 排行榜]}
    - {topic: 小满售后群①, members: 0.2, leaves: 0.1, words: [收到, 打卡]}
"""


def community(root: Path) -> Workspace:
    """The workspace, written below `root`: the guard removes by itself here."""
    shop = root / "shop"
    copy_starter(shop)
    (shop / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    guard = shop / "guard.yaml"
    text = guard.read_text(encoding="utf-8")
    assert "\n  mode: shadow\n" in text
    guard.write_text(text.replace("\n  mode: shadow\n", "\n  mode: auto\n"), encoding="utf-8")
    space, problems = inspect_workspace(shop, env={})
    assert space is not None, show_problems(problems)
    return space
