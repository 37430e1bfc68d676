// What somebody asks to do, or may do.
#ifndef PODROUTE_TESTS_APISERVER_ACCESS_H_
#define PODROUTE_TESTS_APISERVER_ACCESS_H_

#include <string>

namespace podroute {

struct Access {
  std::string user;
  std::string verb;      // "list"
  std::string group;     // "" is the core group.
  std::string resource;  // "nodes", "nodes/status"
  std::string ns;        // "": of a resource without namespaces, or in all of them.
  std::string name;      // "": none is named.

  // "USER list nodes", "USER update leases.coordination.k8s.io podroute in kube-system"
  std::string ToText() const {
    std::string text = user + " " + verb + " " + resource;
    if (!group.empty()) text += "." + group;
    if (!name.empty()) text += " " + name;
    if (!ns.empty()) text += " in " + ns;
    return text;
  }
};

}  // namespace podroute

#endif  // PODROUTE_TESTS_APISERVER_ACCESS_H_
