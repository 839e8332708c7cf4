"""All tables of the record.

Revision: 0100. Numbers below belonged to tables from before the first release, which are not taken over.
"""

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), server_default="", nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("object_class", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("probable_cause", sa.String(), nullable=False),
        sa.Column("specific_problem", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("raised", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unread", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("waits", sa.Text(), server_default="[]", nullable=False),
        sa.Column("awaits", sa.Text(), server_default="", nullable=False),
        sa.Column("escalated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), server_default="", nullable=False),
        sa.Column("cells", sa.Text(), server_default="[]", nullable=False),
        sa.Column("tenants", sa.Text(), server_default="[]", nullable=False),
        sa.Column("functions", sa.Text(), server_default="[]", nullable=False),
        sa.Column("degraded", sa.Text(), server_default="[]", nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("released", sa.DateTime(timezone=True), nullable=True),
        sa.Column("followed", sa.String(), server_default="", nullable=False),
        sa.Column("spreads", sa.Boolean(), nullable=False),
        sa.Column("incident", sa.String(), server_default="", nullable=False),
        sa.Column("cleared_by", sa.Text(), server_default="", nullable=False),
        sa.Column("shelved_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shelved_by", sa.Text(), server_default="", nullable=False),
        sa.Column("shelved_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("shelved_severity", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alarms")),
        sa.UniqueConstraint("id", name=op.f("uq_alarms_id")),
    )
    op.create_index("ix_alarms_identity", "alarms", ["identity", "number"], unique=False)
    op.create_index(
        "ix_alarms_standing",
        "alarms",
        ["identity"],
        unique=True,
        sqlite_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
        postgresql_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
    )
    op.create_index(op.f("ix_alarms_state"), "alarms", ["state"], unique=False)
    op.create_index("ix_alarms_station", "alarms", ["station", "number"], unique=False)
    op.create_index(
        "ix_alarms_root",
        "alarms",
        ["root"],
        unique=False,
        sqlite_where=sa.text("root <> ''"),
        postgresql_where=sa.text("root <> ''"),
    )
    op.create_index(
        "ix_alarms_spreading",
        "alarms",
        ["station", "probable_cause"],
        unique=False,
        sqlite_where=sa.text("spreads AND cleared IS NULL"),
        postgresql_where=sa.text("spreads AND cleared IS NULL"),
    )
    op.create_index("ix_alarms_incident", "alarms", ["incident", "number"], unique=False)
    op.create_index(
        "ix_alarms_released",
        "alarms",
        ["released"],
        unique=False,
        sqlite_where=sa.text("released IS NOT NULL AND cleared IS NULL"),
        postgresql_where=sa.text("released IS NOT NULL AND cleared IS NULL"),
    )
    op.create_table(
        "incidents",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("object_class", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("probable_cause", sa.String(), nullable=False),
        sa.Column("specific_problem", sa.String(), nullable=False),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), server_default="", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merged_into", sa.String(), nullable=False),
        sa.Column("flaps", sa.Integer(), nullable=False),
        sa.Column("standing", sa.Integer(), nullable=False),
        sa.Column("notify_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_incidents")),
        sa.UniqueConstraint("id", name=op.f("uq_incidents_id")),
    )
    op.create_index(
        "ix_incidents_notify_at",
        "incidents",
        ["notify_at"],
        unique=False,
        sqlite_where=sa.text("notify_at IS NOT NULL"),
        postgresql_where=sa.text("notify_at IS NOT NULL"),
    )
    op.create_index("ix_incidents_identity", "incidents", ["identity", "number"], unique=False)
    op.create_index(
        "ix_incidents_merged_into",
        "incidents",
        ["merged_into"],
        unique=False,
        sqlite_where=sa.text("merged_into <> ''"),
        postgresql_where=sa.text("merged_into <> ''"),
    )
    op.create_index(
        "ix_incidents_open",
        "incidents",
        ["number"],
        unique=False,
        sqlite_where=sa.text("closed IS NULL AND merged_into = ''"),
        postgresql_where=sa.text("closed IS NULL AND merged_into = ''"),
    )
    op.create_table(
        "incident_alarms",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("incident", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merged_from", sa.String(), nullable=False),
        sa.Column("blameless", sa.Boolean(), nullable=False),
        sa.Column("put_down_to", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name=op.f("fk_incident_alarms_alarm")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_incident_alarms")),
    )
    op.create_index("ix_incident_alarms_incident", "incident_alarms", ["incident", "number"], unique=False)
    op.create_index("ix_incident_alarms_until", "incident_alarms", ["until", "alarm"], unique=False)
    op.create_index(
        "ix_incident_alarms_put_down_to",
        "incident_alarms",
        ["put_down_to"],
        unique=False,
        sqlite_where=sa.text("put_down_to <> ''"),
        postgresql_where=sa.text("put_down_to <> ''"),
    )
    op.create_index(
        "ix_incident_alarms_merged_from",
        "incident_alarms",
        ["merged_from"],
        unique=False,
        sqlite_where=sa.text("merged_from <> ''"),
        postgresql_where=sa.text("merged_from <> ''"),
    )
    op.create_index(
        "ix_incident_alarms_current",
        "incident_alarms",
        ["alarm"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "alarm_tenants",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("there", sa.Boolean(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("severity", sa.String(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("cleared", sa.DateTime(timezone=True), nullable=True),
        sa.Column("root", sa.String(), nullable=True),
        sa.Column("incident", sa.String(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name=op.f("fk_alarm_tenants_alarm")),
        sa.PrimaryKeyConstraint("tenant", "alarm", name=op.f("pk_alarm_tenants")),
    )
    op.create_index(
        "ix_alarm_tenants_incident",
        "alarm_tenants",
        ["tenant", "incident"],
        unique=False,
        sqlite_where=sa.text("until IS NOT NULL"),
        postgresql_where=sa.text("until IS NOT NULL"),
    )
    op.create_table(
        "uncorrelated",
        sa.Column("alarm", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.number"], name=op.f("fk_uncorrelated_alarm")),
        sa.PrimaryKeyConstraint("alarm", name=op.f("pk_uncorrelated")),
    )
    op.create_table(
        "announced_works",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("links", sa.Text(), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_announced_works")),
        sa.UniqueConstraint("id", name=op.f("uq_announced_works_id")),
    )
    op.create_index("ix_announced_works_tenant_ends", "announced_works", ["tenant", "ends"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("key", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_object", "audit", ["object", "id"], unique=False)
    op.create_table(
        "audit_devices",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("device", "row", name=op.f("pk_audit_devices")),
    )
    op.create_table(
        "audit_head",
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "behaviours",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("software", sa.String(), nullable=False),
        sa.Column("follow_up", sa.String(), nullable=True),
        sa.Column("cancels", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("places", sa.Boolean(), nullable=False),
        sa.Column("learned", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_behaviours")),
    )
    op.create_table(
        "comments",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_comments")),
        sa.UniqueConstraint("id", name=op.f("uq_comments_id")),
    )
    op.create_index("ix_comments_about_number", "comments", ["about", "number"], unique=False)
    op.create_index("ix_comments_at", "comments", ["at"], unique=False)
    op.create_table(
        "denials",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("permission", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("more", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "side", "permission", name=op.f("pk_denials")),
    )
    op.create_table(
        "definitions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_definitions")),
    )
    op.create_table(
        "devices",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("adopted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("network_digest", sa.String(), nullable=False),
        sa.Column("applied", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired", sa.DateTime(timezone=True), nullable=True),
        sa.Column("beside", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_devices")),
    )
    op.create_table(
        "doubts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("choice", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_doubts")),
    )
    op.create_table(
        "freezes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warning", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_freezes")),
        sa.UniqueConstraint("id", name=op.f("uq_freezes_id")),
    )
    op.create_table(
        "healths",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_healths")),
    )
    op.create_table(
        "observed_times",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_observed_times")),
    )
    op.create_index("ix_observed_times_until", "observed_times", ["until"], unique=False)
    op.create_table(
        "lasted_times",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lasted_times")),
    )
    op.create_index("ix_lasted_times_until", "lasted_times", ["until"], unique=False)
    op.create_table(
        "brief_outages",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_brief_outages")),
    )
    op.create_index("ix_brief_outages_until", "brief_outages", ["until"], unique=False)
    op.create_index("ix_brief_outages_station_until", "brief_outages", ["station", "until"], unique=False)
    op.create_table(
        "kept_lists",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_kept_lists")),
    )
    op.create_index("ix_kept_lists_until", "kept_lists", ["until"], unique=False)
    op.create_index(
        "ix_kept_lists_current",
        "kept_lists",
        ["station"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "adoptions",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_adoptions")),
    )
    op.create_index("ix_adoptions_until", "adoptions", ["until"], unique=False)
    op.create_index(
        "ix_adoptions_current",
        "adoptions",
        ["station"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "carried_links",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_carried_links")),
    )
    op.create_index("ix_carried_links_station", "carried_links", ["station"], unique=False)
    op.create_index(
        "ix_carried_links_current",
        "carried_links",
        ["station", "path", "tenant"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "carried_shares",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
        sa.Column("plmn", sa.String(), nullable=False),
        sa.Column("slice", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_carried_shares")),
    )
    op.create_index("ix_carried_shares_tenant", "carried_shares", ["tenant"], unique=False)
    op.create_index(
        "ix_carried_shares_current",
        "carried_shares",
        ["station", "cell", "plmn", "slice", "tenant", "percent"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "carried_times",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
        sa.Column("plmn", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_carried_times")),
    )
    op.create_index("ix_carried_times_until", "carried_times", ["until"], unique=False)
    op.create_index(
        "ix_carried_times_current",
        "carried_times",
        ["station", "cell", "plmn", "tenant"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "plmn_lists",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plmn_lists")),
    )
    op.create_index("ix_plmn_lists_until", "plmn_lists", ["station", "until"], unique=False)
    op.create_index(
        "ix_plmn_lists_current",
        "plmn_lists",
        ["station"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "missing_times",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
        sa.Column("plmn", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_missing_times")),
    )
    op.create_index(
        "ix_missing_times_silent",
        "missing_times",
        ["station"],
        unique=False,
        sqlite_where=sa.text("silent"),
        postgresql_where=sa.text("silent"),
    )
    op.create_index("ix_missing_times_until", "missing_times", ["until"], unique=False)
    op.create_index(
        "ix_missing_times_current",
        "missing_times",
        ["station", "cell", "plmn", "tenant"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "locks",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_locks")),
    )
    op.create_index("ix_locks_until", "locks", ["until"], unique=False)
    op.create_index(
        "ix_locks_current",
        "locks",
        ["station", "cell"],
        unique=True,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "holds",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_holds")),
        sa.UniqueConstraint("id", name=op.f("uq_holds_id")),
    )
    op.create_table(
        "journal",
        sa.Column("transaction", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("persist", sa.Text(), server_default="", nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("carried", sa.LargeBinary(), nullable=True),
        sa.Column("excused", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("transaction", "seq", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_job"), "journal", ["job"], unique=False)
    op.create_table(
        "leases",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("transaction", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("incarnation", sa.String(), nullable=True),
        sa.Column("recovers", sa.Boolean(), nullable=False),
        sa.Column("lock_sessions", sa.Text(), server_default="", nullable=False),
        sa.Column("locked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_leases")),
        sa.UniqueConstraint("transaction", name=op.f("uq_leases_transaction")),
    )
    op.create_index(op.f("ix_leases_incarnation"), "leases", ["incarnation"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("owners", sa.String(), nullable=False),
        sa.Column("leaves", sa.Text(), server_default="", nullable=False),
        sa.Column("first", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("plan", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("station", "path", name=op.f("pk_ledger")),
    )
    op.create_table(
        "agreement_minutes",
        sa.Column("agreement", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("counted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agreement", name=op.f("pk_agreement_minutes")),
    )
    op.create_table(
        "kpi_evaluations",
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("of", sa.String(), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "of", name=op.f("pk_kpi_evaluations")),
    )
    op.create_table(
        "ledger_history",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_history")),
    )
    op.create_index("ix_ledger_history_station_number", "ledger_history", ["station", "number"], unique=False)
    op.create_table(
        "audit_tiles",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_row", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_tiles")),
    )
    op.create_table(
        "audit_heads",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tiles", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "statement_files",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_statement_files")),
    )
    op.create_index("ix_statement_files_statement", "statement_files", ["statement"], unique=False)
    op.create_table(
        "statements",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("issued", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_statements")),
        sa.UniqueConstraint("id", name=op.f("uq_statements_id")),
        sa.UniqueConstraint("kind", "tenant", "month", "version", name=op.f("uq_statements_kind")),
    )
    op.create_table(
        "network_history",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("agreements", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_network_history")),
    )
    op.create_table(
        "networks",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("saved", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_networks")),
    )
    op.create_index(
        "ix_networks_current",
        "networks",
        ["current"],
        unique=True,
        sqlite_where=sa.text('"current"'),
        postgresql_where=sa.text('"current"'),
    )
    op.create_table(
        "plans",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plans")),
        sa.UniqueConstraint("id", name=op.f("uq_plans_id")),
    )
    op.create_table(
        "playbooks",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_playbooks")),
    )
    op.create_table(
        "reports",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("source_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("skewed", sa.Boolean(), nullable=False),
        sa.Column("report", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_reports")),
        sa.UniqueConstraint("digest", name=op.f("uq_reports_digest")),
    )
    op.create_index("ix_reports_alarm", "reports", ["alarm"], unique=False)
    op.create_index("ix_reports_last", "reports", ["last"], unique=False)
    op.create_table(
        "measurements",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("begin", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rolled", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("covered", sa.Float(), nullable=False),
        sa.Column("suspect", sa.Boolean(), nullable=False),
        sa.Column("differed", sa.Boolean(), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("station", "level", "begin", "rolled", name=op.f("pk_measurements")),
    )
    op.create_index("ix_measurements_level_begin", "measurements", ["level", "begin"], unique=False)
    op.create_table(
        "measurement_layouts",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_measurement_layouts")),
    )
    op.create_table(
        "stale_measurements",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("begin", sa.DateTime(timezone=True), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("level", "begin", "station", name=op.f("pk_stale_measurements")),
    )
    op.create_table(
        "differing_measurements",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("more", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_differing_measurements")),
    )
    op.create_table(
        "retired_measurements",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("level", name=op.f("pk_retired_measurements")),
    )
    op.create_table(
        "measurement_files",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("station", "name", name=op.f("pk_measurement_files")),
    )
    op.create_index(op.f("ix_measurement_files_at"), "measurement_files", ["at"], unique=False)
    op.create_table(
        "unknown_counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_unknown_counters")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("interval", sa.Float(), nullable=False),
        sa.Column("lost", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "collections",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("again", sa.Text(), server_default="", nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_collections")),
    )
    op.create_index(op.f("ix_collections_due"), "collections", ["due"], unique=False)
    op.create_table(
        "collection_counts",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "reason", name=op.f("pk_collection_counts")),
    )
    op.create_table(
        "registrations",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fields", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_registrations")),
    )
    op.create_table(
        "refused_alerts",
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reason", name=op.f("pk_refused_alerts")),
    )
    op.create_table(
        "repairs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("root", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_repairs")),
    )
    op.create_index("ix_repairs_at", "repairs", ["at"], unique=False)
    op.create_index("ix_repairs_rule_object_at", "repairs", ["rule", "object", "at"], unique=False)
    op.create_table(
        "rule_modes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rule_modes")),
    )
    op.create_index("ix_rule_modes_rule_scope", "rule_modes", ["rule", "scope", "number"], unique=False)
    op.create_table(
        "proposals",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("seen", sa.String(), nullable=False),
        sa.Column("obstacle", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("before", sa.Text(), server_default="", nullable=False),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name=op.f("fk_proposals_alarm")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_proposals")),
        sa.UniqueConstraint("id", name=op.f("uq_proposals_id")),
    )
    op.create_index("ix_proposals_alarm", "proposals", ["alarm", "number"], unique=False)
    op.create_index("ix_proposals_rule_state", "proposals", ["rule", "state", "number"], unique=False)
    op.create_index("ix_proposals_station", "proposals", ["station", "number"], unique=False)
    op.create_table(
        "signed_out",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_signed_out")),
    )
    op.create_index(op.f("ix_signed_out_ends"), "signed_out", ["ends"], unique=False)
    op.create_table(
        "switches",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("on", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stops", sa.Integer(), server_default="0", nullable=False),
        sa.Column("issuer", sa.String(), server_default="", nullable=False),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.Column("vouched", sa.DateTime(timezone=True), nullable=True),
        sa.Column("turned", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )
    op.create_index(
        "ix_users_issuer_subject",
        "users",
        ["issuer", "subject"],
        unique=True,
        sqlite_where=sa.text("issuer != ''"),
        postgresql_where=sa.text("issuer != ''"),
    )
    op.create_table(
        "votes",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token", sa.String(), server_default="", nullable=False),
        sa.Column("maker", sa.String(), server_default="", nullable=False),
        sa.Column("issuer", sa.String(), server_default="", nullable=False),
        sa.Column("contracts", sa.Text(), server_default="[]", nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("stops", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("subject", "side", "person", name=op.f("pk_votes")),
    )
    op.create_table(
        "workers",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("sessions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("alive", sa.Boolean(), nullable=False),
        sa.Column("role", sa.String(), server_default="worker", nullable=False),
        sa.Column("begun", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("late", sa.Text(), server_default="", nullable=False),
        sa.Column("listed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_workers")),
        sa.UniqueConstraint("id", name=op.f("uq_workers_id")),
    )
    op.create_table(
        "observations",
        sa.Column("incarnation", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("incarnation", name=op.f("pk_observations")),
    )
    op.create_table(
        "changes",
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("tenants", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_changes_plan")),
        sa.PrimaryKeyConstraint("plan", "station", name=op.f("pk_changes")),
    )
    op.create_index("ix_changes_station", "changes", ["station", "plan"], unique=False)
    op.create_table(
        "escalations",
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("notified", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alarm"], ["alarms.id"], name=op.f("fk_escalations_alarm")),
        sa.PrimaryKeyConstraint("alarm", "number", name=op.f("pk_escalations")),
    )
    op.create_index(
        "ix_escalations_pending",
        "escalations",
        ["at"],
        unique=False,
        sqlite_where=sa.text("notified IS NULL"),
        postgresql_where=sa.text("notified IS NULL"),
    )
    op.create_table(
        "calls",
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("escalation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("instead_of", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_up", sa.Boolean(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("holds", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm", "escalation"], ["escalations.alarm", "escalations.number"], name=op.f("fk_calls_alarm")
        ),
        sa.PrimaryKeyConstraint("alarm", "escalation", "side", "number", name=op.f("pk_calls")),
    )
    op.create_index("ix_calls_at", "calls", ["at"], unique=False)
    op.create_index("ix_calls_message", "calls", ["message"], unique=False)
    op.create_index("ix_calls_holds", "calls", ["holds"], unique=False)
    op.create_index(
        "ix_calls_pending",
        "calls",
        ["at"],
        unique=False,
        sqlite_where=sa.text("sent IS NULL"),
        postgresql_where=sa.text("sent IS NULL"),
    )
    op.create_index(
        "ix_calls_next",
        "calls",
        ["next"],
        unique=False,
        sqlite_where=sa.text("next IS NOT NULL"),
        postgresql_where=sa.text("next IS NOT NULL"),
    )
    op.create_table(
        "hand_overs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hand_overs")),
        sa.UniqueConstraint("id", name=op.f("uq_hand_overs_id")),
    )
    op.create_index("ix_hand_overs_side_until", "hand_overs", ["side", "until"], unique=False)
    op.create_table(
        "plan_tenants",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stations", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_plan_tenants_plan")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_plan_tenants")),
    )
    op.create_index(op.f("ix_plan_tenants_handle"), "plan_tenants", ["handle"], unique=False)
    op.create_index("ix_plan_tenants_plan_tenant", "plan_tenants", ["plan", "tenant"], unique=True)
    op.create_index("ix_plan_tenants_tenant_number", "plan_tenants", ["tenant", "number"], unique=False)
    op.create_index("ix_plan_tenants_tenant_part", "plan_tenants", ["tenant", "part"], unique=False)
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("procedure", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("network_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("side", sa.String(), server_default="host", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped", sa.Text(), server_default="", nullable=False),
        sa.Column("from_files", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("judge_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outdated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("waves", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("fk_runs_plan")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_runs_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_runs_idempotency_key")),
    )
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_with", sa.String(), nullable=True),
        sa.Column("maker", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], name=op.f("fk_tokens_owner")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )
    op.create_index(op.f("ix_tokens_owner"), "tokens", ["owner"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("gate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_decisions_run")),
        sa.PrimaryKeyConstraint("run", "wave", "unit", "gate", "round", name=op.f("pk_decisions")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("unit", sa.Text(), server_default="", nullable=False),
        sa.Column("rank", sa.Integer(), server_default="0", nullable=False),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("reasons", sa.Text(), server_default="", nullable=False),
        sa.Column("closes", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outdated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ready", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("incarnation", sa.String(), nullable=True),
        sa.Column("rests", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deferred", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gate", sa.Integer(), nullable=True),
        sa.Column("gate_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("beyond", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("operated", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("unseen", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("unanswered", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("unread", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("found", sa.String(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_jobs_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_claimed_station",
        "jobs",
        ["station"],
        unique=True,
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index("ix_jobs_run_wave_station", "jobs", ["run", "wave", "station"], unique=True)
    op.create_index("ix_jobs_state_run", "jobs", ["state", "run"], unique=False)
    op.create_index("ix_jobs_station_finished", "jobs", ["station", "finished"], unique=False)
    op.create_index(
        "ix_jobs_unseen",
        "jobs",
        ["station"],
        unique=False,
        sqlite_where=sa.text("unseen OR unanswered"),
        postgresql_where=sa.text("unseen OR unanswered"),
    )
    op.create_table(
        "notices",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=True),
        sa.Column("incident", sa.String(), nullable=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stations", sa.Text(), nullable=False),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("addressed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("cells", sa.Text(), server_default="[]", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("what", sa.Text(), server_default="", nullable=False),
        sa.Column("severity", sa.String(), nullable=True),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        sa.Column("outage", sa.Text(), server_default="", nullable=False),
        sa.Column("tenants", sa.Text(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_notices_run")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notices")),
        sa.UniqueConstraint("id", name=op.f("uq_notices_id")),
    )
    op.create_index("ix_notices_run_tenant_kind", "notices", ["run", "tenant", "kind"], unique=True)
    op.create_index("ix_notices_tenant_number", "notices", ["tenant", "number"], unique=False)
    op.create_index("ix_notices_begins", "notices", ["begins"], unique=False)
    op.create_index("ix_notices_incident_tenant", "notices", ["incident", "tenant", "number"], unique=False)
    op.create_index(
        "ix_notices_unaddressed",
        "notices",
        ["number"],
        unique=False,
        sqlite_where=sa.text("NOT addressed"),
        postgresql_where=sa.text("NOT addressed"),
    )
    op.create_table(
        "deliveries",
        sa.Column("notice", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("gathered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["notice"], ["notices.id"], name=op.f("fk_deliveries_notice")),
        sa.PrimaryKeyConstraint("notice", "to", name=op.f("pk_deliveries")),
    )
    op.create_index("ix_deliveries_message", "deliveries", ["message", "to"], unique=False)
    op.create_index("ix_deliveries_gathered", "deliveries", ["gathered"], unique=False)
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["at"],
        unique=False,
        sqlite_where=sa.text("sent IS NULL"),
        postgresql_where=sa.text("sent IS NULL"),
    )
    op.create_table(
        "overrides",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stops", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_overrides_run")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_overrides")),
    )
    op.create_table(
        "questions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("choices", sa.Text(), nullable=False),
        sa.Column("default", sa.String(), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("by", sa.String(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("answered", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_questions_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
    )
    op.create_index(op.f("ix_questions_run"), "questions", ["run"], unique=False)
    op.create_table(
        "run_playbooks",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["playbooks.digest"], name=op.f("fk_run_playbooks_digest")),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_playbooks_run")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_run_playbooks")),
    )
    op.create_table(
        "run_tenants",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_tenants_run")),
        sa.PrimaryKeyConstraint("run", "tenant", "station", name=op.f("pk_run_tenants")),
    )
    op.create_index("ix_run_tenants_tenant_run", "run_tenants", ["tenant", "run"], unique=False)
    op.create_table(
        "run_constraints",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), server_default="", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("notified", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_constraints_run")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_run_constraints")),
    )
    op.create_index(op.f("ix_run_constraints_plan"), "run_constraints", ["plan"], unique=False)
    op.create_index(op.f("ix_run_constraints_subject"), "run_constraints", ["subject"], unique=False)
    op.create_table(
        "steps",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("undo", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("change", sa.LargeBinary(), nullable=True),
        sa.Column("operations", sa.Text(), server_default="", nullable=False),
        sa.Column("sent", sa.Text(), server_default="", nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("beyond", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("waits", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_steps_job")),
        sa.PrimaryKeyConstraint("job", "position", "undo", name=op.f("pk_steps")),
    )


def downgrade() -> None:
    op.drop_table("steps")
    op.drop_index(op.f("ix_run_constraints_subject"), table_name="run_constraints")
    op.drop_index(op.f("ix_run_constraints_plan"), table_name="run_constraints")
    op.drop_table("run_constraints")
    op.drop_index("ix_run_tenants_tenant_run", table_name="run_tenants")
    op.drop_table("run_tenants")
    op.drop_table("run_playbooks")
    op.drop_index(op.f("ix_questions_run"), table_name="questions")
    op.drop_table("questions")
    op.drop_table("overrides")
    op.drop_index(
        "ix_deliveries_pending",
        table_name="deliveries",
        sqlite_where=sa.text("sent IS NULL"),
        postgresql_where=sa.text("sent IS NULL"),
    )
    op.drop_index("ix_deliveries_gathered", table_name="deliveries")
    op.drop_index("ix_deliveries_message", table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_index(
        "ix_notices_unaddressed",
        table_name="notices",
        sqlite_where=sa.text("NOT addressed"),
        postgresql_where=sa.text("NOT addressed"),
    )
    op.drop_index("ix_notices_incident_tenant", table_name="notices")
    op.drop_index("ix_notices_begins", table_name="notices")
    op.drop_index("ix_notices_tenant_number", table_name="notices")
    op.drop_index("ix_notices_run_tenant_kind", table_name="notices")
    op.drop_table("notices")
    op.drop_index("ix_jobs_station_finished", table_name="jobs")
    op.drop_index("ix_jobs_state_run", table_name="jobs")
    op.drop_index("ix_jobs_run_wave_station", table_name="jobs")
    op.drop_index(
        "ix_jobs_claimed_station",
        table_name="jobs",
        sqlite_where=sa.text("state = 'claimed'"),
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.drop_table("jobs")
    op.drop_table("decisions")
    op.drop_index(op.f("ix_tokens_owner"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_runs_state"), table_name="runs")
    op.drop_table("runs")
    op.drop_index("ix_plan_tenants_tenant_part", table_name="plan_tenants")
    op.drop_index("ix_plan_tenants_tenant_number", table_name="plan_tenants")
    op.drop_index("ix_plan_tenants_plan_tenant", table_name="plan_tenants")
    op.drop_index(op.f("ix_plan_tenants_handle"), table_name="plan_tenants")
    op.drop_table("plan_tenants")
    op.drop_index("ix_hand_overs_side_until", table_name="hand_overs")
    op.drop_table("hand_overs")
    op.drop_index(
        "ix_calls_next",
        table_name="calls",
        sqlite_where=sa.text("next IS NOT NULL"),
        postgresql_where=sa.text("next IS NOT NULL"),
    )
    op.drop_index(
        "ix_calls_pending",
        table_name="calls",
        sqlite_where=sa.text("sent IS NULL"),
        postgresql_where=sa.text("sent IS NULL"),
    )
    op.drop_index("ix_calls_holds", table_name="calls")
    op.drop_index("ix_calls_message", table_name="calls")
    op.drop_index("ix_calls_at", table_name="calls")
    op.drop_table("calls")
    op.drop_index(
        "ix_escalations_pending",
        table_name="escalations",
        sqlite_where=sa.text("notified IS NULL"),
        postgresql_where=sa.text("notified IS NULL"),
    )
    op.drop_table("escalations")
    op.drop_table("changes")
    op.drop_table("observations")
    op.drop_table("workers")
    op.drop_table("votes")
    op.drop_index(
        "ix_users_issuer_subject",
        table_name="users",
        sqlite_where=sa.text("issuer != ''"),
        postgresql_where=sa.text("issuer != ''"),
    )
    op.drop_table("users")
    op.drop_table("switches")
    op.drop_index(op.f("ix_signed_out_ends"), table_name="signed_out")
    op.drop_table("signed_out")
    op.drop_index("ix_proposals_station", table_name="proposals")
    op.drop_index("ix_proposals_rule_state", table_name="proposals")
    op.drop_index("ix_proposals_alarm", table_name="proposals")
    op.drop_table("proposals")
    op.drop_index("ix_rule_modes_rule_scope", table_name="rule_modes")
    op.drop_table("rule_modes")
    op.drop_index("ix_repairs_rule_object_at", table_name="repairs")
    op.drop_index("ix_repairs_at", table_name="repairs")
    op.drop_table("repairs")
    op.drop_table("refused_alerts")
    op.drop_table("registrations")
    op.drop_table("heartbeats")
    op.drop_table("collection_counts")
    op.drop_index(op.f("ix_collections_due"), table_name="collections")
    op.drop_table("collections")
    op.drop_table("unknown_counters")
    op.drop_index(op.f("ix_measurement_files_at"), table_name="measurement_files")
    op.drop_table("measurement_files")
    op.drop_table("retired_measurements")
    op.drop_table("differing_measurements")
    op.drop_table("stale_measurements")
    op.drop_table("measurement_layouts")
    op.drop_index("ix_measurements_level_begin", table_name="measurements")
    op.drop_table("measurements")
    op.drop_index("ix_reports_last", table_name="reports")
    op.drop_index("ix_reports_alarm", table_name="reports")
    op.drop_table("reports")
    op.drop_table("playbooks")
    op.drop_table("plans")
    op.drop_index(
        "ix_networks_current",
        table_name="networks",
        sqlite_where=sa.text('"current"'),
        postgresql_where=sa.text('"current"'),
    )
    op.drop_table("networks")
    op.drop_table("network_history")
    op.drop_table("statements")
    op.drop_index("ix_statement_files_statement", table_name="statement_files")
    op.drop_table("statement_files")
    op.drop_table("audit_heads")
    op.drop_table("audit_tiles")
    op.drop_index("ix_ledger_history_station_number", table_name="ledger_history")
    op.drop_table("ledger_history")
    op.drop_table("kpi_evaluations")
    op.drop_table("agreement_minutes")
    op.drop_table("ledger")
    op.drop_index(op.f("ix_leases_incarnation"), table_name="leases")
    op.drop_table("leases")
    op.drop_index(op.f("ix_journal_job"), table_name="journal")
    op.drop_table("journal")
    op.drop_table("holds")
    op.drop_index(
        "ix_locks_current",
        table_name="locks",
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.drop_index("ix_locks_until", table_name="locks")
    op.drop_table("locks")
    op.drop_index("ix_plmn_lists_current", table_name="plmn_lists")
    op.drop_index("ix_plmn_lists_until", table_name="plmn_lists")
    op.drop_table("plmn_lists")
    op.drop_index("ix_missing_times_current", table_name="missing_times")
    op.drop_index("ix_missing_times_until", table_name="missing_times")
    op.drop_table("missing_times")
    op.drop_index("ix_carried_times_current", table_name="carried_times")
    op.drop_index("ix_carried_times_until", table_name="carried_times")
    op.drop_table("carried_times")
    op.drop_index("ix_carried_shares_current", table_name="carried_shares")
    op.drop_index("ix_carried_shares_tenant", table_name="carried_shares")
    op.drop_table("carried_shares")
    op.drop_index("ix_carried_links_current", table_name="carried_links")
    op.drop_index("ix_carried_links_station", table_name="carried_links")
    op.drop_table("carried_links")
    op.drop_index("ix_adoptions_current", table_name="adoptions")
    op.drop_index("ix_adoptions_until", table_name="adoptions")
    op.drop_table("adoptions")
    op.drop_index(
        "ix_kept_lists_current",
        table_name="kept_lists",
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.drop_index("ix_kept_lists_until", table_name="kept_lists")
    op.drop_table("kept_lists")
    op.drop_index("ix_brief_outages_station_until", table_name="brief_outages")
    op.drop_index("ix_brief_outages_until", table_name="brief_outages")
    op.drop_table("brief_outages")
    op.drop_index("ix_lasted_times_until", table_name="lasted_times")
    op.drop_table("lasted_times")
    op.drop_index("ix_observed_times_until", table_name="observed_times")
    op.drop_table("observed_times")
    op.drop_table("healths")
    op.drop_table("freezes")
    op.drop_table("doubts")
    op.drop_table("devices")
    op.drop_table("definitions")
    op.drop_table("denials")
    op.drop_index("ix_comments_at", table_name="comments")
    op.drop_index("ix_comments_about_number", table_name="comments")
    op.drop_table("comments")
    op.drop_table("behaviours")
    op.drop_table("audit_head")
    op.drop_table("audit_devices")
    op.drop_table("audit")
    op.drop_index("ix_announced_works_tenant_ends", table_name="announced_works")
    op.drop_table("announced_works")
    op.drop_table("uncorrelated")
    op.drop_index(
        "ix_alarm_tenants_incident",
        table_name="alarm_tenants",
        sqlite_where=sa.text("until IS NOT NULL"),
        postgresql_where=sa.text("until IS NOT NULL"),
    )
    op.drop_table("alarm_tenants")
    op.drop_index(
        "ix_incident_alarms_current",
        table_name="incident_alarms",
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    op.drop_index(
        "ix_incident_alarms_put_down_to",
        table_name="incident_alarms",
        sqlite_where=sa.text("put_down_to <> ''"),
        postgresql_where=sa.text("put_down_to <> ''"),
    )
    op.drop_index(
        "ix_incident_alarms_merged_from",
        table_name="incident_alarms",
        sqlite_where=sa.text("merged_from <> ''"),
        postgresql_where=sa.text("merged_from <> ''"),
    )
    op.drop_index("ix_incident_alarms_until", table_name="incident_alarms")
    op.drop_index("ix_incident_alarms_incident", table_name="incident_alarms")
    op.drop_table("incident_alarms")
    op.drop_index(
        "ix_incidents_open",
        table_name="incidents",
        sqlite_where=sa.text("closed IS NULL AND merged_into = ''"),
        postgresql_where=sa.text("closed IS NULL AND merged_into = ''"),
    )
    op.drop_index(
        "ix_incidents_merged_into",
        table_name="incidents",
        sqlite_where=sa.text("merged_into <> ''"),
        postgresql_where=sa.text("merged_into <> ''"),
    )
    op.drop_index("ix_incidents_identity", table_name="incidents")
    op.drop_index(
        "ix_incidents_notify_at",
        table_name="incidents",
        sqlite_where=sa.text("notify_at IS NOT NULL"),
        postgresql_where=sa.text("notify_at IS NOT NULL"),
    )
    op.drop_table("incidents")
    op.drop_index(
        "ix_alarms_released",
        table_name="alarms",
        sqlite_where=sa.text("released IS NOT NULL AND cleared IS NULL"),
        postgresql_where=sa.text("released IS NOT NULL AND cleared IS NULL"),
    )
    op.drop_index("ix_alarms_incident", table_name="alarms")
    op.drop_index(
        "ix_alarms_spreading",
        table_name="alarms",
        sqlite_where=sa.text("spreads AND cleared IS NULL"),
        postgresql_where=sa.text("spreads AND cleared IS NULL"),
    )
    op.drop_index(
        "ix_alarms_root",
        table_name="alarms",
        sqlite_where=sa.text("root <> ''"),
        postgresql_where=sa.text("root <> ''"),
    )
    op.drop_index("ix_alarms_station", table_name="alarms")
    op.drop_index(op.f("ix_alarms_state"), table_name="alarms")
    op.drop_index(
        "ix_alarms_standing",
        table_name="alarms",
        sqlite_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
        postgresql_where=sa.text("state IN ('raised', 'repairing') OR (state = 'escalated' AND cleared IS NULL)"),
    )
    op.drop_index("ix_alarms_identity", table_name="alarms")
    op.drop_table("alarms")
