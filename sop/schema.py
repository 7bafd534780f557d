"""JSON Schemas of the operator's files, for editors that complete and check."""

from __future__ import annotations

from typing import Any, Literal

from sop.definitions import Definitions, Settings
from sop.times import show_duration

_NOTES = {
    "Settings.community": "社群的名字",
    "Settings.timezone": "时区，如 Asia/Shanghai",
    "Settings.channel": "接在哪里：模拟器，或者 Wechaty 网关",
    "Settings.storage": "数据库地址",
    "Settings.operators": "运营的微信号；他们可以下命令，也会收到提醒",
    "Settings.hours": "什么时候不主动打扰人",
    "Settings.calendar": "自己补的上班日和放假日",
    "Settings.limits": "主动找人、发消息的上限",
    "Settings.takeover": "运营亲自回复之后，机器人在那个会话里停多久",
    "Settings.stale": "断线重连后，比这更旧的消息不再回复",
    "Settings.keep": "往事留多久：更早的缘由、事件和已了结的消息会被清理",
    "Settings.vars": "模板里能用的变量，写作 {{ vars.名字 }}",
    "Definitions.tags": "标签和标签组",
    "Definitions.groups": "按群名给群定性质、贴标签",
    "Definitions.rules": "规则：出了什么事，什么情况，做什么",
    "Definitions.stages": "生命周期：从上往下，第一个满足的就是；都不满足是引入期",
    "Definitions.audiences": "人群：给一组条件起个名字",
    "Definitions.sops": "SOP：按时间一步步走的流程",
    "Definitions.words": "不能拆开的词，关键词藏在里面时不触发",
    "Definitions.synonyms": "近义词：写了左边的关键词，右边的也算",
    "Hours.quiet": '不主动发消息的时段，如 "22:00-08:30"',
    "CalendarSettings.workdays": "要上班的周末，如 2027-02-20",
    "CalendarSettings.holidays": "放假的日子，如 2027-02-08",
    "ContactLimits.per_day": "一个人一天至多被主动找几次",
    "ContactLimits.per_week": "一个人七天至多被主动找几次",
    "AccountLimits.per_hour": "账号一小时至多发几条",
    "AccountLimits.per_day": "账号一天至多发几条",
    "AccountLimits.gap": "两条主动消息之间隔多久",
    "AccountLimits.reply_gap": "回复之前等多久",
    "TagGroup.values": "组里的标签，写作 组/名",
    "TagGroup.one_of": "一个人只能有组里的一个",
    "TagGroup.expires": "贴上多久以后自己掉",
    "TagGroup.note": "给自己人看的说明",
    "GroupRule.match": "群名，* 代表任意几个字",
    "Rule.id": "规则的名字，不能重复",
    "Rule.on": "出了什么事",
    "Rule.where": "在哪里：private 私聊、group 群、mention 群里 @ 机器人、anywhere 都算",
    "Rule.match": "消息里说了什么",
    "Rule.if": "什么情况才执行",
    "Rule.for": "多久没说话（只用于 on: silent）",
    "Rule.do": "做什么，从上到下",
    "Rule.cooldown": "同一个人（群）这么久之内只执行一次",
    "Rule.gather": "攒这么久的进群或退群，一起说一次",
    "Rule.stop": "执行之后，后面的规则不再看",
    "Audience.id": "人群的名字，不能重复",
    "Audience.all": "这些条件都要满足",
    "Audience.any": "这些条件满足一个就行",
    "EnterOn.on": "出了什么事就进来",
    "EnterOn.where": "只算这些群里的",
    "EnterOn.match": "消息里说了什么",
    "EnterTag.tag": "贴上这个标签就进来",
    "EnterStage.stage": "到了这个生命周期就进来",
    "EnterAudience.audience": "每天看一次，在这个人群里的人进来",
    "EnterDate.date": "这一天一早进来",
    "EnterBirthday.birthday": "生日记在哪一项资料里（用 set 记的名字）",
    "EnterBirthday.days": "生日前后几天，前面写负数",
    "EnterFestival.festival": "节日那天一早进来",
    "EnterFestival.days": "节日前后几天，前面写负数",
    "ExitOn.on": "出了这件事就退出",
    "Goal.tag": "有了这个标签就算达成",
    "Goal.on": "出了这件事就算达成",
    "Goal.if": "满足这个条件就算达成",
    "Goal.within": "进来之后多久之内才算",
    "Sop.id": "SOP 的名字，不能重复",
    "Sop.title": "给人看的标题",
    "Sop.for": "谁来走：contact 联系人，group 群",
    "Sop.enter": "怎么进来；不写就只能手动或用 enroll 拉进来",
    "Sop.again": "走完之后还能不能再进：never、always、after 30d",
    "Sop.exit": "满足其中一个就退出",
    "Sop.goal": "这个 SOP 想达成什么",
    "Sop.priority": "同一时间想找同一个人时，数大的先",
    "Sop.window": '只在这个时段发，如 "09:00-21:00"',
    "Sop.late": "晚了多久还补发",
    "Sop.steps": "步骤，从上到下",
    "Step.id": "步骤的名字，同一个 SOP 里不能重复",
    "Step.title": "给人看的标题",
    "Step.after": "上一步做完之后多久",
    "Step.day": "进来之后第几天（当天是 0），和 at 一起写",
    "Step.weekday": "下一个星期几，和 at 一起写",
    "Step.workday": "只在工作日；赶上放假就顺延",
    "Step.festival": "下一个节日那天，和 at 一起写",
    "Step.birthday": "下一个生日那天，和 at 一起写；写资料里的名字",
    "Step.date": "这一天，和 at 一起写",
    "Step.days": "节日或生日前后几天，前面写负数",
    "Step.at": '几点，如 "10:00"',
    "Step.on": "等这件事发生",
    "Step.wait_until": "等一件事或一个条件，有期限",
    "Step.if": "到时候满足才做，不满足就跳过这一步",
    "Step.choose": "几条路，走第一条满足的",
    "Step.do": "做什么，从上到下",
    "Step.then": "做完之后：next 下一步，exit 结束",
    "Step.goto": "做完之后去哪一步",
    "Step.reply": "等对方回复",
    "Step.window": "这一步只在这个时段发",
    "Step.late": "这一步晚了多久还补发",
    "Branch.if": "满足才走这条路；不写就是“否则”",
    "Reply.within": "等多久",
    "Reply.cases": "回复了什么，就怎么做",
    "Reply.none": "到时间也没等到",
    "WaitUntil.on": "等这件事发生",
    "WaitUntil.if": "等这个条件满足",
    "WaitUntil.within": "等多久",
    "WaitUntil.none": "到时间也没等到，就不做这一步",
    "Enroll.enroll": "拉进这个 SOP",
    "Leave.leave": "移出这个 SOP",
    "Match.any": "有其中一个词就算",
    "Match.all": "这些词都要有",
    "Match.none": "这些词都不能有",
    "Match.regex": "正则表达式",
    "Match.like": "意思相近的问题",
    "Match.type": "消息类型",
} | {
    f"{model}.{key}": note
    for model in ("Onward", "Branch", "Case")
    for key, note in (
        ("do", "做什么，从上到下"),
        ("then", "之后：next 下一步，exit 结束"),
        ("goto", "之后去哪一步"),
    )
}

Kind = Literal["settings", "definitions"]


def json_schema(kind: Kind) -> dict[str, Any]:
    """The schema of `siyu.yaml` (`settings`) or of any other YAML file (`definitions`)."""
    model = Settings if kind == "settings" else Definitions
    schema = model.model_json_schema(by_alias=True)
    models = {model.__name__: schema, **schema.get("$defs", {})}
    for name, part in models.items():
        _describe(name, part)
    if kind == "definitions":
        _allow_empty(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(name: str, part: dict[str, Any]) -> None:
    """Chinese notes and defaults as an operator would write them; no English titles."""
    part.pop("title", None)
    part.pop("description", None)
    for key, spec in part.get("properties", {}).items():
        spec.pop("title", None)
        note = _NOTES.get(f"{name}.{key}", spec.get("description", ""))
        default = spec.pop("default", None)
        if key == "again":
            spec["default"] = "never"
        elif spec.get("type") == "string" and isinstance(default, int):
            note += f"（不写就是 {show_duration(default)}）"
        elif isinstance(default, bool | int | str) and default != "":
            spec["default"] = default
        for one in (spec, *spec.get("anyOf", ())):
            if "\\w" in one.get("pattern", ""):  # an editor's \w knows no Chinese
                del one["pattern"]
        if note:
            spec["description"] = note


def _allow_empty(schema: dict[str, Any]) -> None:
    """A heading with nothing below it yet, and a tag with nothing to say about it, are fine."""
    for key, spec in schema["properties"].items():
        note = spec.pop("description", None)
        if key == "tags":
            spec["additionalProperties"] = {
                "anyOf": [spec["additionalProperties"], {"type": "null"}]
            }
        schema["properties"][key] = {"anyOf": [spec, {"type": "null"}]}
        if note:
            schema["properties"][key]["description"] = note
