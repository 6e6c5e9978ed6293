# --- monitoring: node_exporter, with the site's name as a metric of its own
mkdir -p /etc/default /var/lib/prometheus/node-exporter
cat >/etc/default/prometheus-node-exporter <<END
# Written from the site's context disc.
ARGS="--web.listen-address=:$SITE_EXPORTER_PORT --collector.textfile.directory=/var/lib/prometheus/node-exporter"
END
cat >/var/lib/prometheus/node-exporter/site.prom <<END
# HELP site_info The site that contextualised this machine.
# TYPE site_info gauge
site_info{site="$SITE_NAME"} 1
END
systemctl restart prometheus-node-exporter
echo "node_exporter listens on port $SITE_EXPORTER_PORT"
