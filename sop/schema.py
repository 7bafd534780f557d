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
    "Settings.answers": "没有规则回答的话，怎么从知识里回答",
    "Settings.vars": "模板里能用的变量，写作 {{ vars.名字 }}",
    "Definitions.tags": "标签和标签组",
    "Definitions.groups": "按群名给群定性质、贴标签",
    "Definitions.rules": "规则：出了什么事，什么情况，做什么",
    "Definitions.stages": "生命周期：从上往下，第一个满足的就是；都不满足是引入期",
    "Definitions.audiences": "人群：给一组条件起个名字",
    "Definitions.sops": "SOP：按时间一步步走的流程",
    "Definitions.pushes": "群发：一段话，发给一群人或一些群",
    "Definitions.moments": "朋友圈：排好的计划",
    "Definitions.faq": "常见问题：顾客怎么问，我们怎么答",
    "Definitions.reading": "听出来意的词：咨询、意向、投诉、闲聊各有哪些",
    "Definitions.words": "不能拆开的词，关键词藏在里面时不触发",
    "Definitions.synonyms": "近义词：写了左边的关键词，右边的也算",
    "Definitions.guard": "群管：谁在群里发广告，怎么办",
    "Definitions.core": "核心用户：他们一说话，几秒内告诉运营",
    "Guard.where": "管哪些群；不写就是所有群",
    "Guard.mode": "shadow 只报告，confirm 提醒本人、移人先问你，auto 自己移",
    "Guard.words": "违禁词：出现就记一次",
    "Guard.watch": "可疑词：出现就告诉你",
    "Guard.alert": "到这个分就告诉你",
    "Guard.act": "到这个分就记一次",
    "Guard.strikes": "记到第几次移出群",
    "Guard.expires": "记过一次，多久作废",
    "Guard.say": "记一次时在群里说的话（模板）",
    "Guard.new_member": "进群多久以内算新人",
    "Guard.repeat": "多久以内说同样的话算刷屏",
    "Guard.per_day": "一天至多自己移几个，再多就问你",
    "Guard.allow": "不管谁、不管什么",
    "Allowed.tags": "有这些标签的人不管",
    "Allowed.links": "这些网站的链接不算，写域名",
    "Allowed.words": "这些词不算",
    "CorePeople.tag": "有这个标签的就是核心用户",
    "CorePeople.gather": "等这么久，把他连着说的几句一起告诉你",
    "CorePeople.cooldown": "告诉过你之后，这么久之内不再一句一报",
    "Hours.quiet": '不主动发消息的时段，如 "22:00-08:30"',
    "CalendarSettings.workdays": "要上班的周末，如 2027-02-20",
    "CalendarSettings.holidays": "放假的日子，如 2027-02-08",
    "ContactLimits.per_day": "一个人一天至多被主动找几次",
    "ContactLimits.per_week": "一个人七天至多被主动找几次",
    "AccountLimits.per_hour": "账号一小时至多发几条",
    "AccountLimits.per_day": "账号一天至多发几条",
    "AccountLimits.gap": "两条主动消息之间隔多久",
    "AccountLimits.reply_gap": "回复之前等多久",
    "AccountLimits.since": "这个号从哪天开始用；不写就从第一次登录算起",
    "AccountLimits.warmup": "养号：号还新的时候少发一些，从短到长",
    "WarmUp.until": "号龄不到这么久",
    "WarmUp.per_hour": "这时一小时至多发几条",
    "WarmUp.per_day": "这时一天至多发几条",
    "TagGroup.values": "组里的标签，写作 组/名",
    "TagGroup.one_of": "一个人只能有组里的一个",
    "TagGroup.expires": "贴上多久以后自己掉",
    "TagGroup.note": "给自己人看的说明",
    "GroupRule.match": "群名，* 代表任意几个字",
    "GroupRule.capacity": "拉人进群时拉到多少人为止，机器人自己也算一个",
    "Invite.invite": "邀请进群：第一个有位置的；不重复邀请，也不邀请已经在群里的",
    "Invitation.group_tag": "带这个标签的群里，第一个有位置的",
    "Invitation.group": "这个名字的群",
    "Invitation.before": "发邀请之前私聊说的话（模板名）",
    "Invitation.waiting": "邀请还没点时说的话（模板名）",
    "Invitation.member": "已经在群里时说的话（模板名）",
    "Invitation.full": "都满了时说的话（模板名）",
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
    "Sop.for": "谁来走：contact 联系人，group 群，member 群成员（从进群开始）",
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
    "Faq.id": "名字，不能重复",
    "Faq.question": "顾客最常见的问法",
    "Faq.also": "别的问法，多写几个",
    "Faq.answer": "怎么答，可以用 {{ vars.名字 }}",
    "Faq.say": "用这个模板答，可以按标签分",
    "Faq.tag": "问到这个的人贴上什么标签",
    "Faq.until": "到哪天为止（含当天），过了就不再用",
    "Words.咨询": "问事情的词",
    "Words.意向": "想买的词",
    "Words.投诉": "不满的词",
    "Words.闲聊": "只是聊聊的词",
    "Answers.hold": "答不上来、转给人的时候，先跟顾客说的一句",
    "Answers.persona": "模型说话时是谁、什么口气",
    "Answers.forbid": "模型的回答里不许出现的词",
    "Answers.complaint": "投诉之后，多久不主动打扰这个人",
    "Answers.model": "语言模型；不写就不用",
    "ModelSettings.url": "兼容 OpenAI 的地址",
    "ModelSettings.name": "模型的名字",
    "ModelSettings.key": "钥匙，用 !env 从环境变量拿",
    "ModelSettings.timeout": "等多久没回音就算了",
    "ModelSettings.at_once": "同时最多问几句",
    "ModelSettings.per_day": "一天最多问几句",
    "ModelSettings.longest": "回答最长多少字",
    "Answers.embeddings": "向量模型，找答案时连意思一起比；不写就只比词",
    "EmbeddingSettings.url": "兼容 OpenAI 的地址",
    "EmbeddingSettings.name": "向量模型的名字",
    "EmbeddingSettings.key": "钥匙，用 !env 从环境变量拿",
    "EmbeddingSettings.timeout": "等多久没回音就只比词",
    "EmbeddingSettings.at_once": "同时最多问几句",
    "Budget.contact": "每个联系人",
    "Budget.account": "整个账号",
    "Enroll.enroll": "拉进这个 SOP",
    "Leave.leave": "移出这个 SOP",
    "Push.id": "群发的名字，不能重复",
    "Push.title": "给人看的标题",
    "Push.to": "发给谁：人群，或者一些群",
    "Push.at": "什么时候发；不写就只能手动发",
    "Push.say": "话术模板",
    "Push.late": "机器人停着误了点，晚多久还发",
    "Push.within": "开始后多久之内还发；到时没轮到的就不发了",
    "Push.window": '只在这个时段发，如 "09:00-21:00"',
    "Push.priority": "几样一起等着发时，数大的先",
    "ToAudience.audience": "发给这个人群里的好友",
    "ToGroups.groups": "发到哪些群",
    "GroupsWith.tag": "带这个标签的群",
    "GroupsWith.kind": "这一类的群",
    "GroupsWith.without": "带这个标签的群不发",
    "AtOnce.on": "只发一次，年-月-日 时:分",
    "AtCron.cron": '反复发：分 时 日 月 星期，如 "0 10 * * mon"',
    "AtCron.workday": "赶上放假就顺延到工作日",
    "AtFestival.festival": "每年这个节日",
    "AtFestival.days": "节日前后几天，前面写负数",
    "AtFestival.at": '几点，如 "09:00"',
    "AtFestival.workday": "赶上放假就顺延到工作日",
    "MomentPlan.id": "名字，不能重复",
    "MomentPlan.title": "给人看的标题",
    "MomentPlan.pillar": "哪一类：日常、观点、成绩、干货、广告",
    "MomentPlan.at": "什么时候发",
    "MomentPlan.say": "模板：一段文字，加至多九张图或一个链接",
    "MomentPlan.visible_to": "只给带这个标签的好友看",
    "MomentPlan.late": "机器人停着误了点，晚多久还发",
    "Match.any": "有其中一个词就算",
    "Match.all": "这些词都要有",
    "Match.none": "这些词都不能有",
    "Match.regex": "正则表达式",
    "Match.like": "意思相近的问题",
    "Match.type": "消息类型",
    "Definitions.points": "积分、签到、等级、邀请",
    "PointRules.name": "积分叫什么",
    "PointRules.per_day": "所有 points 动作加起来，一个人一天至多得几分",
    "PointRules.check_in": "签到给什么",
    "PointRules.levels": "等级：标签和累计要多少分",
    "PointRules.invites": "邀请怎么算；不写就不数",
    "PointRules.boards": "排行榜多长，多久能再看一次",
    "CheckInRules.points": "签到一天给几分",
    "CheckInRules.streaks": "连续签到到了几天，再加几分",
    "CheckInRules.catch_up": "能不能补签；不写就不能",
    "CatchUp.days": "能补几天之内的",
    "CatchUp.per_month": "一个月至多补几次",
    "CatchUp.cost": "补一次花几分",
    "Invites.where": "只算这些群",
    "Invites.per": "一个人在整个社群只算一次（community），还是每个群算一次（group）",
    "Invites.points": "邀请一位给几分",
    "Invites.stay": "要留多久才算，先走的收回",
    "Invites.rewards": "满多少人做什么，每人每档一次",
    "Reward.at_least": "满多少人",
    "Reward.do": "做什么，从上到下",
    "Boards.every": "同一个会话多久能再看一次",
    "Boards.top": "榜上几个人",
    "Points.points": "加几分，负数是扣",
    "Points.reason": "为什么，给人看的",
    "Points.per_day": "这个事由一个人一天至多得几分",
    "CheckIn.check_in": "today 今天签到，missed 补最近漏的一天",
    "ShowBoard.board": "哪个榜：month 本月、total 累计、streak 连续签到、invites 邀请",
    "ShowBoard.template": "用哪个模板说",
    "ShowBoard.of": "在群里：只排群里的人（group），还是所有人（everyone）",
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
