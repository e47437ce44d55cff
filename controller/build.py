"""From a configuration to the parts of a loop on this machine's kernel."""

from __future__ import annotations

import os
from dataclasses import replace

from backends.cgroup import CgroupNode
from backends.discovery.cgroupfs import CgroupfsDiscovery
from backends.discovery.cgroupfs import TierPattern as PatternTemplate
from backends.discovery.merge import Merged
from backends.discovery.own import own_groups
from backends.discovery.sandbox import SandboxCheck
from backends.discovery.static import StaticDiscovery, StaticEntry
from backends.health import HealthSettings
from controller.config import Config, ConfigError, Policy
from models.container import Container, Scrape, Slo


def discovery_of(config: Config, node: CgroupNode) -> Merged:
    """The configured sources of containers. Raises ConfigError for a path that can't be a group."""
    sources: dict[str, StaticDiscovery | CgroupfsDiscovery] = {}
    static, cgroupfs = config.discovery.static, config.discovery.cgroupfs
    try:
        if static:
            entries = [StaticEntry(entry.cgroup, _template(entry.name, entry, config)) for entry in static]
            sources["static"] = StaticDiscovery(node, entries)
        if cgroupfs.enabled:
            patterns = [PatternTemplate(p.match, _template("", p, config)) for p in cgroupfs.tiers]
            check = SandboxCheck(node.layout.cpu.point)
            sources["cgroupfs"] = CgroupfsDiscovery(
                node, cgroupfs.roots, patterns, own=own_groups(), is_sandbox=check
            )
    except ValueError as error:
        raise ConfigError(f"discovery: {error}") from error
    return Merged(sources)


def health_of(config: Config) -> HealthSettings:
    """What counts as a fault of the node."""
    freeze = config.freeze
    return HealthSettings(
        disk_paths=freeze.disk_paths,
        disk_free_min_ratio=freeze.disk_free_min_ratio,
        network=freeze.network,
        clock_step_seconds=freeze.clock_step,
        failed_collections=freeze.failed_collections,
        interval_seconds=freeze.interval,
    )


def node_name(config: Config) -> str:
    """The configured name, else the machine's."""
    return config.node_name or os.uname().nodename


def policy_of(container: Container, policy: Policy, config: Config) -> Container:
    """The container under another policy."""
    template = _template(container.id, policy, config)
    return replace(template, cgroup=container.cgroup, inode=container.inode)


def _template(name: str, policy: Policy, config: Config) -> Container:
    scrape = policy.latency
    return Container(
        id=name,
        cgroup="",
        inode=0,
        tier=policy.tier,
        priority=config.tiers[policy.tier] if policy.priority is None else policy.priority,
        app=policy.app,
        image=policy.image,
        slo=None if policy.slo is None else Slo(policy.slo.latency, policy.slo.percentile),
        floor_cores=policy.floor,
        ceiling_cores=policy.ceiling,
        spec_cores=policy.spec,
        adjustable=policy.adjustable,
        reweight=policy.reweight,
        scrape=None
        if scrape is None
        else Scrape(scrape.url, scrape.metric, tuple(scrape.labels.items()), scrape.interval, scrape.timeout),
    )
